# The source of the functions, from this very checkout. Its name is a digest of what is in it: of the contents, for a
# zip differs from machine to machine.

locals {
  root = "${path.module}/../.."

  # Without the command and the demo server.
  package = setsubtract(
    fileset("${local.root}/shared", "pagebind/**/{*.py,py.typed}"),
    setunion(fileset("${local.root}/shared", "pagebind/{demo,cli}/**"), ["pagebind/__main__.py"]),
  )
  code = merge(
    { "main.py" = "${local.root}/functions/main.py" },
    { for path in local.package : path => "${local.root}/shared/${path}" },
  )

  # The key stands in [notify] alone, and terraform reads no TOML.
  notifications = var.notifications != null ? var.notifications : can(regex("(?m)^\\s*urls\\s*=\\s*\\[\\s*[\"']", local.configuration))

  # Two bundles where people are told: only poll has the libraries for it.
  bundle_of = { for function in local.functions : function => function == "poll" && local.notifications ? "notify" : "plain" }
  bundles = {
    for bundle in toset(values(local.bundle_of)) : bundle => merge(
      local.code,
      { "requirements.txt" = "${local.root}/functions/${bundle == "notify" ? "requirements-notify.txt" : "requirements.txt"}" },
    )
  }
  bundle_digests = {
    for bundle, files in local.bundles : bundle => substr(sha256(join("\n", [for path, file in files : "${path} ${filesha256(file)}"])), 0, 16)
  }
}

data "archive_file" "bundle" {
  for_each = local.bundles

  type        = "zip"
  output_path = "${path.module}/.bundles/${each.key}-${local.bundle_digests[each.key]}.zip"

  dynamic "source" {
    for_each = each.value
    content {
      filename = source.key
      content  = file(source.value)
    }
  }
}

resource "terraform_data" "bundle_digests" {
  for_each = local.bundle_digests

  input = each.value
}

resource "google_storage_bucket_object" "bundle" {
  for_each = local.bundle_digests

  bucket = google_storage_bucket.buckets["deploy"].name
  name   = "bundles/${each.key}-${each.value}.zip"
  source = data.archive_file.bundle[each.key].output_path

  lifecycle {
    create_before_destroy = true # the functions still name the old one
    replace_triggered_by  = [terraform_data.bundle_digests[each.key]]
  }
}
