locals {
  # "token" is no name that a further secret may have.
  secrets = merge(
    var.token_version == null ? {} : { token = { version = var.token_version, functions = toset(["poll", "fetch"]) } },
    var.secrets,
  )
  readers = merge([
    for key, secret in local.secrets : { for function in secret.functions : "${function} reads ${key}" => { secret = key, function = function } }
  ]...)

  # By function: the secrets that are files, with their paths, and those that are variables. Each file has a folder of
  # its own, for a mount hides what else is there.
  mounted = {
    for function in local.functions : function => {
      for key, secret in local.secrets : key => "/secrets/${key}/${key}" if key == "token" && contains(secret.functions, function)
    }
  }
  secret_variables = {
    for function in local.functions : function => toset([
      for key, secret in local.secrets : key if key != "token" && contains(secret.functions, function)
    ])
  }
}

resource "google_secret_manager_secret" "secrets" {
  for_each = local.secrets

  project   = var.project
  secret_id = "${var.name}-${each.key}"
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.services]
}

resource "google_secret_manager_secret_version" "values" {
  for_each = local.secrets

  secret                 = google_secret_manager_secret.secrets[each.key].id
  secret_data_wo         = each.key == "token" ? var.token : var.secret_values[each.key]
  secret_data_wo_version = each.value.version

  lifecycle {
    create_before_destroy = true # the functions use the old one until they know the new
  }
}

resource "google_secret_manager_secret_iam_member" "readers" {
  for_each = local.readers

  project   = var.project
  secret_id = google_secret_manager_secret.secrets[each.value.secret].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = local.members[each.value.function]
}
