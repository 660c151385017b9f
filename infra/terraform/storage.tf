# Three buckets. The configuration lies where no function may write: who writes pages must not change where the token goes.

locals {
  buckets = {
    work    = { soft_delete_days = 0, force_destroy = true }
    library = { soft_delete_days = var.storage.soft_delete_days, force_destroy = false } # `destroy` never deletes books
    deploy  = { soft_delete_days = 0, force_destroy = true }
  }

  # What each function may do where. `below`: only to objects whose keys begin so. Listing is not bound by such a
  # condition, so who writes below some prefixes may read the whole bucket by a right of its own.
  bucket_rights = {
    "poll reads deploy"       = { function = "poll", bucket = "deploy", role = "roles/storage.objectViewer", below = [] }
    "fetch reads deploy"      = { function = "fetch", bucket = "deploy", role = "roles/storage.objectViewer", below = [] }
    "finalize reads deploy"   = { function = "finalize", bucket = "deploy", role = "roles/storage.objectViewer", below = [] }
    "poll writes work"        = { function = "poll", bucket = "work", role = "roles/storage.objectUser", below = [] }
    "poll reads library"      = { function = "poll", bucket = "library", role = "roles/storage.objectViewer", below = [] }
    "fetch reads work"        = { function = "fetch", bucket = "work", role = "roles/storage.objectViewer", below = [] }
    "fetch writes work"       = { function = "fetch", bucket = "work", role = "roles/storage.objectUser", below = ["staging/", "failures/"] }
    "fetch reads library"     = { function = "fetch", bucket = "library", role = "roles/storage.objectViewer", below = [] }
    "finalize reads work"     = { function = "finalize", bucket = "work", role = "roles/storage.objectViewer", below = [] }
    "finalize writes work"    = { function = "finalize", bucket = "work", role = "roles/storage.objectUser", below = ["staging/", "done/", "failures/"] }
    "finalize writes library" = { function = "finalize", bucket = "library", role = "roles/storage.objectUser", below = [] }
  }
}

resource "google_storage_bucket" "buckets" {
  # checkov:skip=CKV_GCP_62: access logs of each page would cost more than storing it, and nobody but the accounts here has access
  # checkov:skip=CKV_GCP_78: objects of work and deploy are never changed in place; in the library soft delete brings books back
  for_each = local.buckets

  project                     = var.project
  name                        = "${var.project}-${var.name}-${each.key}"
  location                    = upper(coalesce(var.storage.location, var.region))
  storage_class               = "STANDARD" # others bill what is deleted early
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = each.value.force_destroy
  labels                      = local.labels

  soft_delete_policy {
    retention_duration_seconds = each.value.soft_delete_days * 86400
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = var.storage.leftovers_days
    }
  }

  # What a killed process leaves: parts of a book being put together, and large pages on the way. Nothing else goes by
  # age: entries of a held volume wait for as long as it is held.
  dynamic "lifecycle_rule" {
    for_each = each.key == "work" ? [1] : []
    content {
      action {
        type = "Delete"
      }
      condition {
        age            = var.storage.leftovers_days
        matches_prefix = ["staging/"]
        matches_suffix = [".composite", ".data"]
      }
    }
  }

  depends_on = [google_project_service.services]
}

resource "google_storage_bucket_iam_member" "functions" {
  for_each = local.bucket_rights

  bucket = google_storage_bucket.buckets[each.value.bucket].name
  role   = each.value.role
  member = local.members[each.value.function]

  dynamic "condition" {
    for_each = length(each.value.below) > 0 ? [1] : []
    content {
      title      = "below ${join(" ", each.value.below)}"
      expression = join(" || ", [for prefix in each.value.below : "resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.buckets[each.value.bucket].name}/objects/${prefix}\")"])
    }
  }
}
