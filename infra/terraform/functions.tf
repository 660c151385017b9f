locals {
  # From the budget of a poll to the end of its function: it hands out, tidies, writes its record, and tells people.
  poll_margin_seconds = 120

  timeouts = {
    poll     = var.schedule.budget_seconds + local.poll_margin_seconds
    fetch    = 900  # the queue waits as long: see the deadlines in adapters/dispatch/cloud_tasks.py
    finalize = 1800 # as above, and the longest that a queue can wait
  }
  requests = { poll = 1, fetch = var.sizes.fetch.requests, finalize = 1 }

  source_environment = merge(
    var.source_url == null ? {} : { PAGEBIND_SOURCE_URL = var.source_url },
    var.downloads_per_second == null ? {} : { PAGEBIND_SOURCE_DOWNLOADS_PER_SECOND = tostring(var.downloads_per_second) },
  )
  environment = {
    GOOGLE_CLOUD_PROJECT           = var.project # so that log lines name their trace
    LOG_EXECUTION_ID               = "true"
    GRPC_VERBOSITY                 = "NONE" # its lines are not ours, and may tell addresses
    PAGEBIND_CONFIG                = "gs://${google_storage_bucket.buckets["deploy"].name}/${google_storage_bucket_object.configuration.name}"
    PAGEBIND_STORE_URL             = "gs://${google_storage_bucket.buckets["work"].name}"
    PAGEBIND_STORE_LIBRARY         = "gs://${google_storage_bucket.buckets["library"].name}"
    PAGEBIND_POLL_INTERVAL         = "${var.schedule.every_minutes}m"
    PAGEBIND_POLL_BUDGET           = "${var.schedule.budget_seconds}s"
    PAGEBIND_QUEUE_FETCH           = local.queue_paths["fetch"]
    PAGEBIND_QUEUE_FINALIZE        = local.queue_paths["finalize"]
    PAGEBIND_QUEUE_FETCH_URL       = local.urls["fetch"]
    PAGEBIND_QUEUE_FINALIZE_URL    = local.urls["finalize"]
    PAGEBIND_QUEUE_SERVICE_ACCOUNT = local.emails["queue"]
    PAGEBIND_QUEUE_MAX_ATTEMPTS    = tostring(var.max_attempts)
  }
  own_environment = {
    poll = local.source_environment
    fetch = merge(local.source_environment, {
      THREADS                     = tostring(var.sizes.fetch.requests)
      PAGEBIND_SOURCE_CONCURRENCY = tostring(min(var.sizes.fetch.requests, 64)) # the setting's limit
      MALLOC_ARENA_MAX            = "2"                                         # of glibc: 305 MiB instead of 430 with 16 pages at once
    })
    finalize = local.source_environment
  }
}

resource "google_cloudfunctions2_function" "functions" {
  # checkov:skip=CKV_GCP_124: poll is called by the scheduler and by people from anywhere, and IAM admits those named alone; the others take internal calls only
  for_each = local.functions

  project     = var.project
  location    = var.region
  name        = local.names[each.key]
  description = "Pagebind: ${local.accounts[each.key]}"
  labels      = local.labels

  build_config {
    runtime           = var.runtime
    entry_point       = each.key
    service_account   = local.full_ids["build"]
    docker_repository = "projects/${var.project}/locations/${var.region}/repositories/${google_artifact_registry_repository.images.repository_id}"

    source {
      storage_source {
        bucket = google_storage_bucket_object.bundle[local.bundle_of[each.key]].bucket
        object = google_storage_bucket_object.bundle[local.bundle_of[each.key]].name
      }
    }
  }

  service_config {
    service_account_email            = local.emails[each.key]
    available_cpu                    = tostring(var.sizes[each.key].cpu)
    available_memory                 = "${var.sizes[each.key].memory_mib}Mi"
    min_instance_count               = 0
    max_instance_count               = var.sizes[each.key].instances
    max_instance_request_concurrency = local.requests[each.key]
    timeout_seconds                  = local.timeouts[each.key]
    ingress_settings                 = each.key == "poll" ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY" # Cloud Tasks counts as internal
    environment_variables = merge(local.environment, local.own_environment[each.key], {
      for key, path in local.mounted[each.key] : "PAGEBIND_SOURCE_TOKEN" => "file:${path}"
      }, length(local.secret_variables[each.key]) == 0 ? {} : {
      # Another value is another revision, whatever its version is called: cloud.google.com/run/docs/configuring/services/environment-variables
      SECRETS_VERSION = join(" ", [for key in local.secret_variables[each.key] : "${key}=${local.secrets[key].version}"])
    })
    direct_vpc_egress = local.egress[each.key] ? "VPC_EGRESS_ALL_TRAFFIC" : null

    # A mounted secret is read afresh, so a new token needs no deploy.
    dynamic "secret_volumes" {
      for_each = local.mounted[each.key]
      content {
        project_id = data.google_project.this.number # the platform answers with it, so an id would differ for ever
        secret     = google_secret_manager_secret.secrets[secret_volumes.key].secret_id
        mount_path = dirname(secret_volumes.value)
        versions {
          version = "latest"
          path    = basename(secret_volumes.value)
        }
      }
    }

    # A variable is fixed when an instance starts: naming the version deploys the new one.
    dynamic "secret_environment_variables" {
      for_each = local.secret_variables[each.key]
      content {
        project_id = data.google_project.this.number
        key        = secret_environment_variables.key
        secret     = google_secret_manager_secret.secrets[secret_environment_variables.key].secret_id
        version    = google_secret_manager_secret_version.values[secret_environment_variables.key].version
      }
    }

    dynamic "direct_vpc_network_interface" {
      for_each = local.egress[each.key] ? google_compute_subnetwork.egress : []
      content {
        network    = google_compute_network.egress[0].name
        subnetwork = direct_vpc_network_interface.value.name
      }
    }
  }

  # A revision starts only where its account may read its secrets, there is something to read, and there is a way out.
  depends_on = [
    google_compute_router_nat.egress,
    google_secret_manager_secret_iam_member.readers,
    google_secret_manager_secret_version.values,
    google_storage_bucket_iam_member.functions,
    terraform_data.rights_known,
  ]
}

locals {
  # Poll is called by the scheduler and by the people named; fetch and finalize by the queues alone.
  invocations = merge(
    {
      "scheduler calls poll" = { function = "poll", member = local.members["scheduler"] }
      "queue calls fetch"    = { function = "fetch", member = local.members["queue"] }
      "queue calls finalize" = { function = "finalize", member = local.members["queue"] }
    },
    { for member in var.invokers : "${member} calls poll" => { function = "poll", member = member } },
  )
}

# On the service of Cloud Run behind the function, which is what checks who calls.
resource "google_cloud_run_v2_service_iam_member" "invokers" {
  for_each = local.invocations

  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.functions[each.value.function].name
  role     = "roles/run.invoker"
  member   = each.value.member
}
