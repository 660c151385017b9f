# One account for each function, which has the rights of its part and no others; those stand beside what they are about.

locals {
  accounts = {
    poll      = "looks at the server and hands out tasks"
    fetch     = "stages pages"
    finalize  = "binds books"
    queue     = "carries tasks to fetch and finalize"
    scheduler = "calls poll"
    build     = "builds the functions"
  }

  # Known before the accounts are there, so that a plan shows who gets which right.
  emails   = { for key, account in google_service_account.accounts : key => "${account.account_id}@${account.project}.iam.gserviceaccount.com" }
  members  = { for key, email in local.emails : key => "serviceAccount:${email}" }
  full_ids = { for key, email in local.emails : key => "projects/${var.project}/serviceAccounts/${email}" }

  # Google makes this bucket itself when the first function is built, and builds read the source from it.
  build_source = "projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-${var.region}"
}

resource "google_service_account" "accounts" {
  for_each = local.accounts

  project      = var.project
  account_id   = "${var.name}-${each.key}"
  display_name = "Pagebind: ${each.value}"

  depends_on = [google_project_service.services]
}

# Who creates a task names the account that will carry it, and needs the right to act as that account.
resource "google_service_account_iam_member" "acts_as_queue" {
  for_each = toset(["poll", "finalize"])

  service_account_id = local.full_ids["queue"]
  role               = "roles/iam.serviceAccountUser"
  member             = local.members[each.key]
}

# On the project, for there is no smaller place to write log lines to.
resource "google_project_iam_member" "build_logs" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = local.members["build"]
}

# On the project, for the bucket is not there yet; the condition lets it read that one alone.
resource "google_project_iam_member" "build_source" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = local.members["build"]

  condition {
    title      = "source of functions"
    expression = "resource.name == \"${local.build_source}\" || resource.name.startsWith(\"${local.build_source}/\")"
  }
}

# Images of the functions.
resource "google_artifact_registry_repository" "images" {
  # checkov:skip=CKV_GCP_84: Google's own keys encrypt the images, which hold nothing but public code
  project       = var.project
  location      = var.region
  repository_id = var.name
  format        = "DOCKER"
  description   = "Images of Pagebind's functions, made by their builds."
  labels        = local.labels

  cleanup_policies {
    id     = "drop-old-builds"
    action = "DELETE"
    condition {
      older_than = "${30 * 86400}s"
    }
  }
  cleanup_policies {
    id     = "keep-newest-builds"
    action = "KEEP"
    most_recent_versions {
      keep_count = 3
    }
  }

  depends_on = [google_project_service.services]
}

resource "google_artifact_registry_repository_iam_member" "build" {
  project    = var.project
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = local.members["build"]
}

# A right that was just given is not known everywhere for a minute or two, and a build does not try again.
resource "terraform_data" "rights_known" {
  input = [
    google_artifact_registry_repository_iam_member.build.role,
    google_project_iam_member.build_logs.role,
    google_project_iam_member.build_source.role,
  ]

  provisioner "local-exec" {
    command = "sleep ${var.rights_wait_seconds}"
  }
}
