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

    Add a subscription: edit ${var.configuration}, then `terraform apply` again. The next poll knows it.

    Take it down, and keep the books:
      terraform state rm 'google_storage_bucket.buckets["library"]'
      terraform destroy
  EOT
}
