locals {
  functions = toset(["poll", "fetch", "finalize"])
  names     = { for function in local.functions : function => "${var.name}-${function}" }
  labels    = merge(var.labels, { app = var.name, managed-by = "terraform" })

  # Cloud Run's deterministic addresses: known before there is a service, so finalize may be told its own.
  # cloud.google.com/run/docs/triggering/https-request#deterministic
  urls = { for function, name in local.names : function => "https://${name}-${data.google_project.this.number}.${var.region}.run.app" }

  services = toset(concat(
    [
      "artifactregistry.googleapis.com",
      "cloudbuild.googleapis.com",
      "cloudfunctions.googleapis.com",
      "cloudresourcemanager.googleapis.com",
      "cloudscheduler.googleapis.com",
      "cloudtasks.googleapis.com",
      "iam.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com",
      "storage.googleapis.com",
    ],
    var.egress_address ? ["compute.googleapis.com"] : [],
  ))
}

# Not after the services, or its number would be unknown whenever one of them changes, and with it all addresses.
data "google_project" "this" {
  project_id = var.project
}

resource "google_project_service" "services" {
  for_each = local.services

  project            = var.project
  service            = each.key
  disable_on_destroy = false # others in the project may use it
}

# The platform writes a line for each request besides Pagebind's own: for 1,000 volumes of 200 pages USD 0.10 of 1.89.
resource "google_logging_project_exclusion" "requests" {
  count = var.request_logs ? 0 : 1

  project     = var.project
  name        = "${var.name}-requests"
  description = "Requests to Pagebind's functions that went well: its own lines tell what was done."
  filter      = <<-EOT
    log_id("run.googleapis.com/requests")
    resource.type="cloud_run_revision"
    resource.labels.service_name=(${join(" OR ", [for name in values(local.names) : "\"${name}\""])})
    httpRequest.status>=200
    httpRequest.status<400
    NOT severity>=WARNING
  EOT

  depends_on = [google_project_service.services]
}
