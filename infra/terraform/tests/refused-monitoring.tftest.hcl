# What is refused of what alerts need. No provider is needed.

variables {
  project       = "my-project"
  region        = "europe-west1"
  configuration = "tests/pagebind.toml"
}

run "nobody_to_tell" {
  command         = plan
  expect_failures = [var.alert_emails]
}

run "no_channels_no_hours" {
  command = plan

  variables {
    alert_emails       = ["somebody@example.org"]
    alert_channels     = ["slack"]
    alert_hours        = 24
    alert_queue_hours  = 0
    alert_repeat_hours = 49
  }

  expect_failures = [var.alert_channels, var.alert_hours, var.alert_queue_hours, var.alert_repeat_hours]
}

run "no_address_and_told_of_before_it_is_due" {
  command = plan

  variables {
    alert_emails = ["somebody"]
    schedule     = { every_minutes = 360 }
  }

  expect_failures = [var.alert_emails, var.alert_hours]
}

run "a_cron_without_hours" {
  command = plan

  variables {
    alert_emails = ["somebody@example.org"]
    schedule     = { cron = "*/30 6-23 * * *" }
  }

  expect_failures = [var.alert_hours]
}

run "a_poll_counted_too_late" {
  command = plan

  variables {
    alert_emails = ["somebody@example.org"]
    alert_hours  = 1
    schedule     = { every_minutes = 30 }
  }

  expect_failures = [var.alert_hours]
}

run "a_pause_that_cannot_be_watched" {
  command = plan

  variables {
    alert_emails = ["somebody@example.org"]
    schedule     = { every_minutes = 1440 }
  }

  expect_failures = [var.alert_hours]
}

run "a_cron_with_its_hours" {
  command = plan

  variables {
    alert_emails = ["somebody@example.org"]
    alert_hours  = 9
    schedule     = { cron = "*/30 6-23 * * *" }
  }
}

run "a_cron_that_nobody_watches" {
  command = plan

  variables {
    alert_emails = ["somebody@example.org"]
    alert_hours  = null
    schedule     = { cron = "0 4 * * 1", every_minutes = 1440 }
  }
}
