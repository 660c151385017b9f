# What is refused, each with one line that says why: a run for each rule of variables.tf.

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

run "project_with_capitals" {
  command = plan

  variables {
    project = "My-Project"
  }

  expect_failures = [var.project]
}

run "project_of_a_domain" {
  command = plan

  variables {
    project = "example.org:comics"
  }

  expect_failures = [var.project]
}

run "zone_for_a_region" {
  command = plan

  variables {
    region = "europe-west1-b"
  }

  expect_failures = [var.region]
}

run "name_too_long_for_an_account" {
  command = plan

  variables {
    name = "pagebind-of-my-family"
  }

  expect_failures = [var.name]
}

run "name_with_two_hyphens" {
  command = plan

  variables {
    name = "page--bind"
  }

  expect_failures = [var.name]
}

run "name_with_capitals" {
  command = plan

  variables {
    name = "Pagebind"
  }

  expect_failures = [var.name]
}

run "name_that_google_gives_nobody" {
  command = plan

  variables {
    name = "my-google-comics"
  }

  expect_failures = [var.name]
}

run "label_with_a_space" {
  command = plan

  variables {
    labels = { team = "my comics" }
  }

  expect_failures = [var.labels]
}

run "configuration_that_is_not_there" {
  command = plan

  variables {
    configuration = "tests/nowhere.toml"
  }

  expect_failures = [var.configuration]
}

run "configuration_without_subscription" {
  command = plan

  variables {
    configuration = "tests/no-subscription.toml"
  }

  expect_failures = [var.configuration]
}

run "source_url_with_a_password" {
  command = plan

  variables {
    source_url = "https://reader:password@alist.example.org"
  }

  expect_failures = [var.source_url]
}

run "source_url_without_scheme" {
  command = plan

  variables {
    source_url = "alist.example.org"
  }

  expect_failures = [var.source_url]
}

run "rate_of_nothing" {
  command = plan

  variables {
    downloads_per_second = 0
  }

  expect_failures = [var.downloads_per_second]
}

run "rate_no_queue_has" {
  command = plan

  variables {
    downloads_per_second = 501
  }

  expect_failures = [var.downloads_per_second]
}

run "minutes_that_divide_no_hour" {
  command = plan

  variables {
    schedule = { every_minutes = 7, budget_seconds = 60 }
  }

  expect_failures = [var.schedule]
}

run "cron_of_six_fields" {
  command = plan

  variables {
    schedule = { cron = "0 */15 * * * *" }
  }

  expect_failures = [var.schedule]
}

run "time_zone_with_a_space" {
  command = plan

  variables {
    schedule = { time_zone = "Europe / Berlin" }
  }

  expect_failures = [var.schedule]
}

run "budget_longer_than_the_scheduler_waits" {
  command = plan

  variables {
    schedule = { every_minutes = 60, budget_seconds = 1681 }
  }

  expect_failures = [var.schedule]
}

run "budget_longer_than_the_interval" {
  command = plan

  variables {
    schedule = { every_minutes = 5 }
  }

  expect_failures = [var.schedule]
}

run "cpu_that_is_not_offered" {
  command = plan

  variables {
    sizes = { poll = { cpu = 3, memory_mib = 2048 } }
  }

  expect_failures = [var.sizes]
}

run "more_memory_than_the_cpu_takes" {
  command = plan

  variables {
    sizes = { poll = { memory_mib = 1024 } }
  }

  expect_failures = [var.sizes]
}

run "less_memory_than_the_cpu_needs" {
  command = plan

  variables {
    sizes = { fetch = { cpu = 8, memory_mib = 2048 } }
  }

  expect_failures = [var.sizes]
}

run "many_requests_on_a_part_of_a_cpu" {
  command = plan

  variables {
    sizes = { fetch = { cpu = 0.5 } }
  }

  expect_failures = [var.sizes]
}

run "requests_beyond_the_limit" {
  command = plan

  variables {
    sizes = { fetch = { requests = 251 } }
  }

  expect_failures = [var.sizes]
}

run "half_an_instance" {
  command = plan

  variables {
    sizes = { finalize = { instances = 0.5 } }
  }

  expect_failures = [var.sizes]
}

run "no_attempt" {
  command = plan

  variables {
    max_attempts = 0
  }

  expect_failures = [var.max_attempts]
}

run "token_version_without_a_token" {
  command = plan

  variables {
    token_version = "1"
  }

  expect_failures = [var.token_version]
}

run "secret_with_a_name_no_variable_has" {
  command = plan

  variables {
    secrets       = { "alist-password" = { version = "1" } }
    secret_values = { "alist-password" = "secret" }
  }

  expect_failures = [var.secrets]
}

run "secret_with_a_name_of_ours" {
  command = plan

  variables {
    secrets       = { PAGEBIND_SOURCE_URL = { version = "1" } }
    secret_values = { PAGEBIND_SOURCE_URL = "secret" }
  }

  expect_failures = [var.secrets]
}

run "secret_for_finalize" {
  command = plan

  variables {
    secrets       = { NOTIFY_URL = { version = "1", functions = ["finalize"] } }
    secret_values = { NOTIFY_URL = "secret" }
  }

  expect_failures = [var.secrets]
}

run "secret_without_a_value" {
  command = plan

  variables {
    secrets       = { NOTIFY_URL = { version = "1" }, OTHER_URL = { version = "1" } }
    secret_values = { NOTIFY_URL = "secret" }
  }

  expect_failures = [var.secret_values]
}

run "value_without_a_secret" {
  command = plan

  variables {
    secret_values = { NOTIFY_URL = "secret" }
  }

  expect_failures = [var.secret_values]
}

run "everybody_may_call" {
  command = plan

  variables {
    invokers = ["allUsers"]
  }

  expect_failures = [var.invokers]
}

run "soft_delete_shorter_than_google_does" {
  command = plan

  variables {
    storage = { soft_delete_days = 1 }
  }

  expect_failures = [var.storage]
}

run "leftovers_that_are_being_worked_on" {
  command = plan

  variables {
    storage = { leftovers_days = 0 }
  }

  expect_failures = [var.storage]
}

run "egress_range_too_small" {
  command = plan

  variables {
    egress_range = "10.73.0.0/28"
  }

  expect_failures = [var.egress_range]
}

run "python_that_is_too_old" {
  command = plan

  variables {
    runtime = "python310"
  }

  expect_failures = [var.runtime]
}

run "waiting_for_ever" {
  command = plan

  variables {
    rights_wait_seconds = 3600
  }

  expect_failures = [var.rights_wait_seconds]
}

run "label_of_ours" {
  command = plan

  variables {
    labels = { app = "mine" }
  }

  expect_failures = [var.labels]
}

run "configuration_that_is_a_folder" {
  command = plan

  variables {
    configuration = "tests"
  }

  expect_failures = [var.configuration]
}

run "configuration_that_is_empty" {
  command = plan

  variables {
    configuration = ""
  }

  expect_failures = [var.configuration]
}

run "cron_with_a_quote" {
  command = plan

  variables {
    schedule    = { cron = "'*/15' * * * *" }
    alert_hours = 6
  }

  expect_failures = [var.schedule]
}

run "more_pages_than_a_queue_has" {
  command = plan

  variables {
    sizes = { fetch = { requests = 100, instances = 51 } }
  }

  expect_failures = [var.sizes]
}

run "more_instances_than_addresses" {
  command = plan

  variables {
    egress_address = true
    sizes          = { fetch = { instances = 29 } }
  }

  expect_failures = [var.sizes]
}

run "empty_token_version" {
  command = plan

  variables {
    token         = "a-token"
    token_version = " "
  }

  expect_failures = [var.token_version]
}

run "secret_with_an_empty_version" {
  command = plan

  variables {
    secrets       = { NOTIFY_URL = { version = "" } }
    secret_values = { NOTIFY_URL = "secret" }
  }

  expect_failures = [var.secrets]
}

run "place_that_is_none" {
  command = plan

  variables {
    storage = { location = "Belgium, Europe" }
  }

  expect_failures = [var.storage]
}

run "egress_range_of_the_world" {
  command = plan

  variables {
    egress_range = "0.0.0.0/0"
  }

  expect_failures = [var.egress_range]
}

run "egress_range_of_others" {
  command = plan

  variables {
    egress_range = "192.168.0.0/15"
  }

  expect_failures = [var.egress_range]
}

run "egress_range_of_the_public" {
  command = plan

  variables {
    egress_range = "172.32.0.0/24"
  }

  expect_failures = [var.egress_range]
}

run "egress_range_with_host_bits" {
  command = plan

  variables {
    egress_range = "10.73.0.5/26"
  }

  expect_failures = [var.egress_range]
}

run "egress_range_of_the_newer_internet" {
  command = plan

  variables {
    egress_range = "fd00::/20"
  }

  expect_failures = [var.egress_range]
}

# The edges of what is taken.

run "edges_that_are_taken" {
  command = plan

  variables {
    configuration  = "tests/inline.toml"
    egress_address = true
    egress_range   = "192.168.0.0/16"
    sizes          = { fetch = { requests = 50, instances = 100 } }
    storage        = { location = "eur4" }
    schedule       = { every_minutes = 1440 }
    alert_hours    = null
  }
}

run "as_many_instances_as_addresses" {
  command = plan

  variables {
    egress_address = true
    egress_range   = "172.16.0.0/26"
    sizes          = { fetch = { instances = 28 } }
  }
}
