# Whom alerts tell, and when. No cloud is asked: run `terraform test`. What their filters find: tests/infra/test_alerts.py.

mock_provider "archive" {}

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project             = "my-project"
  region              = "europe-west1"
  configuration       = "tests/pagebind.toml"
  rights_wait_seconds = 0
}

run "channels_of_ones_own_are_enough" {
  command = plan

  variables {
    alert_channels = ["projects/my-project/notificationChannels/7"]
  }

  assert {
    condition = alltrue([
      for policy in concat(values(google_monitoring_alert_policy.events), google_monitoring_alert_policy.silence, [google_monitoring_alert_policy.queues]) :
      policy.notification_channels == tolist(["projects/my-project/notificationChannels/7"])
    ])
    error_message = "An alert is not wired to the channel that was given."
  }
  assert {
    condition     = length(google_monitoring_notification_channel.emails) == 0 && length(google_monitoring_alert_policy.silence) == 1
    error_message = "There is a channel that nobody asked for, or no alert of missing polls."
  }
}

run "hours_as_they_are_given" {
  command = plan

  variables {
    alert_emails       = ["somebody@example.org", "another@example.org"]
    alert_hours        = 23
    alert_queue_hours  = 3
    alert_repeat_hours = 1
    name               = "my-comics"
  }

  assert {
    condition     = [for channel in google_monitoring_notification_channel.emails : channel.labels.email_address] == ["another@example.org", "somebody@example.org"]
    error_message = "There is not a channel for each address."
  }
  assert {
    condition     = google_monitoring_alert_policy.silence[0].conditions[0].condition_prometheus_query_language[0].duration == "81000s"
    error_message = "Missing polls are not told after 23 hours, of which half an hour is looked back."
  }
  assert {
    condition     = [for condition in google_monitoring_alert_policy.queues.conditions : condition.condition_prometheus_query_language[0].duration] == ["9000s", "9000s"]
    error_message = "A queue is not told of after 3 hours, of which half an hour is looked back."
  }
  assert {
    condition     = toset([for policy in google_monitoring_alert_policy.events : policy.alert_strategy[0].notification_rate_limit[0].period]) == toset(["3600s"])
    error_message = "An event that goes on is not told every hour."
  }
  assert {
    condition     = google_logging_metric.polls_ended[0].name == "my_comics_polls_ended" && strcontains(google_monitoring_alert_policy.silence[0].conditions[0].condition_prometheus_query_language[0].query, "logging_googleapis_com:user_my_comics_polls_ended{")
    error_message = "The alert of missing polls does not ask for its own metric, or by a name that PromQL has not."
  }
}

run "a_schedule_that_is_too_slow_is_not_watched" {
  command = plan

  variables {
    alert_emails = ["somebody@example.org"]
    alert_hours  = null
    schedule     = { every_minutes = 720, cron = "0 4 * * *" }
  }

  assert {
    condition     = length(google_monitoring_alert_policy.silence) == 0 && length(google_logging_metric.polls_ended) == 0
    error_message = "Missing polls are told though nobody is to be told."
  }
}
