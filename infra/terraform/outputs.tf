output "library" {
  description = "Where the books are."
  value       = "gs://${google_storage_bucket.buckets["library"].name}"
}

output "configuration" {
  description = "The configuration that the functions read."
  value       = "gs://${google_storage_bucket.buckets["deploy"].name}/${google_storage_bucket_object.configuration.name}"
}

output "poll_url" {
  description = "Address of poll, for those that may call it."
  value       = local.urls["poll"]
}

output "egress_address" {
  description = "Address from which the server is called; null: any of Google's."
  value       = one(google_compute_address.egress[*].address)
}

locals {
  # As typed from the repository's root.
  terraform = "terraform -chdir=infra/terraform"
  edited    = startswith(var.configuration, "../../") ? trimprefix(var.configuration, "../../") : can(regex("^[/~]", var.configuration)) ? var.configuration : "infra/terraform/${var.configuration}"
  exports = compact([
    var.token_version == null ? "" : "export TF_VAR_token=...",
    length(var.secrets) == 0 ? "" : "export TF_VAR_secret_values='{${join(", ", [for name in keys(var.secrets) : "\"${name}\": \"...\""])}}'",
  ])
}

output "next_steps" {
  description = "What to do now."
  value       = <<-EOT
    Books appear in gs://${google_storage_bucket.buckets["library"].name} after the second poll that sees a folder unchanged.

    Poll now:
      gcloud scheduler jobs run ${google_cloud_scheduler_job.poll.name} --location ${var.region} --project ${var.project}

    See what a poll would do, and change nothing (for members of `invokers`):
      curl -X POST ${local.urls["poll"]} -H "Authorization: Bearer $(gcloud auth print-identity-token)" -H "Content-Type: application/json" -d '{"dry_run": true}'

    Read what was done:
      gcloud logging read 'resource.type="cloud_run_revision" resource.labels.service_name=~"^${var.name}-(poll|fetch|finalize)$" jsonPayload.message:*' --project ${var.project} --freshness 1h --order asc --format 'value(timestamp, severity, jsonPayload)'

    Ask where everything stands, and decide (`retry`, `bind`, `forget`), from your own machine:
      gcloud auth application-default login
      export PAGEBIND_CONFIG=gs://${google_storage_bucket.buckets["deploy"].name}/${google_storage_bucket_object.configuration.name}
      export PAGEBIND_STORE_URL=gs://${google_storage_bucket.buckets["work"].name} PAGEBIND_STORE_LIBRARY=gs://${google_storage_bucket.buckets["library"].name}
      pagebind status

    What follows is typed in the folder of the repository${length(local.exports) == 0 ? "." : ", after:${join("", [for line in local.exports : "\n  ${line}"])}"}

    Change something, or add a subscription: edit ${local.edited} and apply. The next poll knows it. If an apply stops half way, as a first one may, apply again.
      ${local.terraform} apply

    Take it down, and keep the books${var.egress_address ? "; destroy again two hours later, for Google holds the network's addresses so long" : ""}:
      ${local.terraform} state rm 'google_storage_bucket.buckets["library"]'
      ${local.terraform} destroy

    Come back to the books that were kept:
      ${local.terraform} import 'google_storage_bucket.buckets["library"]' ${google_storage_bucket.buckets["library"].name}
      ${local.terraform} apply
  EOT
}
