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
  value       = "to be written"
}
