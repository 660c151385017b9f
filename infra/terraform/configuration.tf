# The user's own pagebind.toml. Its text is in neither plan nor state: it is uploaded from the file.
resource "google_storage_bucket_object" "configuration" {
  bucket         = google_storage_bucket.buckets["deploy"].name
  name           = "pagebind.toml"
  source         = pathexpand(var.configuration)
  source_md5hash = filemd5(pathexpand(var.configuration))
  content_type   = "application/toml"
  cache_control  = "no-store"
}
