# What the options make of the module. No cloud is asked: run `terraform test`.

mock_provider "archive" {}

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project       = "my-project"
  region        = "europe-west1"
  configuration = "tests/pagebind.toml"
  alert_emails  = ["somebody@example.org"]
}

run "as_it_comes" {
  command = plan

  assert {
    condition     = toset(keys(google_cloudfunctions2_function.functions)) == toset(["poll", "fetch", "finalize"])
    error_message = "There are not just the three functions."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["fetch"].service_config[0].environment_variables["PAGEBIND_QUEUE_FINALIZE_URL"] == "https://pagebind-finalize-123456789012.europe-west1.run.app"
    error_message = "The address of finalize is not Cloud Run's deterministic one."
  }
  assert {
    condition     = google_cloud_scheduler_job.poll.schedule == "*/15 * * * *" && google_cloudfunctions2_function.functions["poll"].service_config[0].environment_variables["PAGEBIND_POLL_INTERVAL"] == "15m"
    error_message = "A poll does not come every 15 minutes."
  }
  assert {
    condition     = length(google_secret_manager_secret.secrets) == 0 && !contains(keys(google_cloudfunctions2_function.functions["poll"].service_config[0].environment_variables), "PAGEBIND_SOURCE_TOKEN")
    error_message = "There is a secret, though none was given."
  }
  assert {
    condition     = length(google_compute_network.egress) == 0 && output.egress_address == null && !contains(keys(google_project_service.services), "compute.googleapis.com")
    error_message = "There is a network that nobody asked for."
  }
  assert {
    condition     = length(google_storage_bucket_object.bundle) == 1 && length(google_logging_project_exclusion.requests) == 1
    error_message = "There is another bundle, or requests are logged."
  }
  assert {
    condition     = google_cloud_tasks_queue.queues["fetch"].rate_limits[0].max_dispatches_per_second == 500
    error_message = "The queue of pages is slower than it has to be."
  }
}

run "with_everything" {
  command = plan

  variables {
    token         = "a-token"
    token_version = "2"
    notifications = true
    secrets = {
      NOTIFY_URL      = { version = "1" }
      COMICS_PASSWORD = { version = "1", functions = ["poll", "fetch"] }
    }
    secret_values        = { NOTIFY_URL = "an-address", COMICS_PASSWORD = "a-password" }
    egress_address       = true
    name                 = "comics-at-home-2"
    downloads_per_second = 0.5
    max_attempts         = 3
    schedule             = { cron = "*/30 6-23 * * *", every_minutes = 30, time_zone = "Europe/Berlin", budget_seconds = 1680 }
    sizes                = { fetch = { requests = 80, memory_mib = 2048, instances = 2 }, finalize = { instances = 1 } }
    alert_hours          = 9
    request_logs         = true
    invokers             = ["user:somebody@example.org", "group:family@example.org"]
  }

  assert {
    condition     = google_secret_manager_secret_version.values["token"].secret_data_wo_version == "2"
    error_message = "The token's version is not the one that was given."
  }
  assert {
    condition     = [for function in ["poll", "fetch", "finalize"] : length(google_cloudfunctions2_function.functions[function].service_config[0].secret_volumes)] == [1, 1, 0]
    error_message = "The token is not mounted for poll and fetch alone."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["fetch"].service_config[0].environment_variables["PAGEBIND_SOURCE_TOKEN"] == "file:/secrets/token/token"
    error_message = "Fetch is not told where the token is."
  }
  assert {
    condition     = [for one in google_cloudfunctions2_function.functions["poll"].service_config[0].secret_environment_variables : one.key] == ["COMICS_PASSWORD", "NOTIFY_URL"]
    error_message = "Poll does not have both secrets."
  }
  assert {
    condition     = [for one in google_cloudfunctions2_function.functions["fetch"].service_config[0].secret_environment_variables : one.key] == ["COMICS_PASSWORD"]
    error_message = "Fetch does not have the one secret that is for it."
  }
  assert {
    condition     = [for function in ["poll", "fetch", "finalize"] : startswith(google_cloudfunctions2_function.functions[function].build_config[0].source[0].storage_source[0].object, "bundles/notify-")] == [true, false, false]
    error_message = "Not poll alone has the libraries that tell people."
  }
  assert {
    condition     = [for function in ["poll", "fetch", "finalize"] : length(google_cloudfunctions2_function.functions[function].service_config[0].direct_vpc_network_interface)] == [1, 1, 0]
    error_message = "Not just poll and fetch go through the network."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["fetch"].service_config[0].direct_vpc_egress == "VPC_EGRESS_ALL_TRAFFIC" && contains(keys(google_project_service.services), "compute.googleapis.com")
    error_message = "Fetch's calls do not all go through the network."
  }
  assert {
    condition     = google_cloud_scheduler_job.poll.schedule == "*/30 6-23 * * *" && google_cloud_scheduler_job.poll.time_zone == "Europe/Berlin" && google_cloud_scheduler_job.poll.attempt_deadline == "1800s"
    error_message = "The schedule is not the one that was asked for."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["poll"].service_config[0].environment_variables["PAGEBIND_POLL_INTERVAL"] == "30m"
    error_message = "Poll does not know how often it comes."
  }
  assert {
    condition     = google_cloud_tasks_queue.queues["fetch"].rate_limits[0].max_concurrent_dispatches == 160 && google_cloud_tasks_queue.queues["fetch"].rate_limits[0].max_dispatches_per_second == 0.5
    error_message = "The queue of pages does not have what its instances serve, or another rate."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["fetch"].service_config[0].environment_variables["THREADS"] == "80" && google_cloudfunctions2_function.functions["fetch"].service_config[0].environment_variables["PAGEBIND_SOURCE_CONCURRENCY"] == "64"
    error_message = "Fetch does not have a thread for each request, or more at a time than the setting takes."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["fetch"].service_config[0].environment_variables["PAGEBIND_QUEUE_MAX_ATTEMPTS"] == "3" && google_cloud_tasks_queue.queues["fetch"].retry_config[0].max_attempts == 3
    error_message = "Queue and function do not agree which attempt is the last one."
  }
  assert {
    condition     = length(google_logging_project_exclusion.requests) == 0
    error_message = "Requests are left out of the log."
  }
  assert {
    condition     = length([for one in google_cloud_run_v2_service_iam_member.invokers : one if one.name == "comics-at-home-2-poll"]) == 3
    error_message = "Others than the scheduler and two people may call poll."
  }
}

run "as_the_configuration_says" {
  command = plan

  variables {
    configuration = "tests/notifying.toml"
    secrets       = { NOTIFY_URL = { version = "2" } }
    secret_values = { NOTIFY_URL = "an-address" }
  }

  assert {
    condition     = startswith(google_cloudfunctions2_function.functions["poll"].build_config[0].source[0].storage_source[0].object, "bundles/notify-") && startswith(google_cloudfunctions2_function.functions["fetch"].build_config[0].source[0].storage_source[0].object, "bundles/plain-")
    error_message = "The configuration says who is told, and poll cannot tell them."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["poll"].service_config[0].environment_variables["SECRETS_VERSION"] == "NOTIFY_URL=2" && !contains(keys(google_cloudfunctions2_function.functions["fetch"].service_config[0].environment_variables), "SECRETS_VERSION")
    error_message = "Not just poll is deployed again for another value of its secret."
  }
  assert {
    condition     = strcontains(output.next_steps, "\n  export TF_VAR_secret_values='{\"NOTIFY_URL\": \"...\"}'\n") && !strcontains(output.next_steps, "TF_VAR_token") && !strcontains(output.next_steps, "two hours")
    error_message = "The next steps do not say just what has to be exported."
  }
  assert {
    condition     = strcontains(output.next_steps, "edit infra/terraform/tests/notifying.toml and apply")
    error_message = "The next steps do not name the configuration as it is found from the root."
  }
}
