# Who is told, and of what. docs/alerts.md has a section for each alert; tests/infra/test_alerts.py feeds each filter
# with lines that the functions really write.

resource "google_monitoring_notification_channel" "emails" {
  for_each = var.alert_emails

  project      = var.project
  display_name = "${var.name}: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }
  user_labels  = local.labels

  # An address that goes is taken out of the policies first: Google does not delete a channel that one of them names.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_project_service.services]
}

locals {
  channels = concat([for channel in google_monitoring_notification_channel.emails : channel.id], tolist(var.alert_channels))

  # What a function writes itself, and what the platform says of it: that it was out of memory, or could not start. Lines
  # about requests are left out: each page that is tried again is an error there.
  # cloud.google.com/run/docs/logging#run_manage_logs
  own_lines = "(log_id(\"run.googleapis.com/stderr\") OR log_id(\"run.googleapis.com/varlog/system\"))"

  events = {
    poll_failed = {
      title    = "a poll failed"
      severity = "ERROR"
      filter   = <<-EOT
        resource.type="cloud_run_revision"
        resource.labels.service_name="${local.names["poll"]}"
        ${local.own_lines}
        severity>=ERROR
        NOT jsonPayload.code="auth"
        NOT jsonPayload.message="task too large"
      EOT
      labels   = { code = "EXTRACT(jsonPayload.code)", fix = "EXTRACT(jsonPayload.fix)" }
      text     = <<-EOT
        Pagebind could not look at the server, or could not write down what it found. Code: "$${log.extracted_label.code}". What to do, as it says itself: $${log.extracted_label.fix}

        - `server`: Alist or OpenList does not answer. Start it; the next poll goes on by itself.
        - `store`, `queue`, `secrets`: Google does not answer, or refuses a right. One such poll is nothing, a row of them is.
        - `config`: pagebind.toml or a secret is wrong. Correct it and apply again.
        - No code: a mistake in the program, or too little memory. Look at the line and report it.
      EOT
    }

    credentials_refused = {
      title    = "credentials refused"
      severity = "CRITICAL"
      filter   = <<-EOT
        resource.type="cloud_run_revision"
        resource.labels.service_name=(${join(" OR ", [for function in ["fetch", "poll"] : "\"${local.names[function]}\""])})
        log_id("run.googleapis.com/stderr")
        jsonPayload.code="auth"
      EOT
      labels   = { fix = "EXTRACT(jsonPayload.fix)" }
      text     = <<-EOT
        The server refuses the token, or user and password. Nothing is fetched until somebody mends it. Each poll tries once and no more, so no account is locked out. What to do, as it says itself: $${log.extracted_label.fix}

        Take the token from the server's settings, put it into the variable `token`, raise `token_version`, and apply. No function is deployed again by that.
      EOT
    }

    held = {
      title    = "a volume is held"
      severity = "WARNING"
      filter   = <<-EOT
        resource.type="cloud_run_revision"
        resource.labels.service_name=(${join(" OR ", [for function in ["finalize", "poll"] : "\"${local.names[function]}\""])})
        log_id("run.googleapis.com/stderr")
        jsonPayload.message="held"
      EOT
      labels   = { code = "EXTRACT(jsonPayload.code)" }
      text     = <<-EOT
        At least one volume waits for your decision. Code: "$${log.extracted_label.code}". All others go on; nothing in the library is touched.

        `pagebind status` lists what is held, with the reason. What each code means, and which command decides, is in docs/operate.md, "Held volumes".
      EOT
    }

    task_failed = {
      title    = "a page or a book failed"
      severity = "ERROR"
      filter   = <<-EOT
        resource.type="cloud_run_revision"
        ${local.own_lines}
        severity>=ERROR
        NOT jsonPayload.code="auth"
        (
          resource.labels.service_name=(${join(" OR ", [for function in ["fetch", "finalize"] : "\"${local.names[function]}\""])})
          OR (resource.labels.service_name="${local.names["poll"]}" AND jsonPayload.message="task too large")
        )
      EOT
      labels   = { code = "EXTRACT(jsonPayload.code)", function = "EXTRACT(resource.labels.service_name)" }
      text     = <<-EOT
        $${log.extracted_label.function} could not do a task, and trying again does not help. Code: "$${log.extracted_label.code}". A page that the server sends wrongly, or a server that is away, does not come here.

        - `store`: a right is missing, or a key is one that the bucket does not take. The line's `fix` names the right.
        - `config`: pagebind.toml or a secret is wrong. Correct it and apply again.
        - `usage`: something in the queue is no task of Pagebind. Nothing to do, unless it goes on.
        - No code: a page whose task is too large, a mistake in the program, or too little memory. Look at the line.
      EOT
    }

    scheduler_failed = {
      title    = "the scheduler's call failed"
      severity = "ERROR"
      filter   = <<-EOT
        resource.type="cloud_scheduler_job"
        resource.labels.job_id="${google_cloud_scheduler_job.poll.name}"
        resource.labels.location="${var.region}"
        log_id("cloudscheduler.googleapis.com/executions")
        severity>=ERROR
      EOT
      labels   = { status = "EXTRACT(jsonPayload.status)" }
      text     = <<-EOT
        Cloud Scheduler called poll and got no good answer. Status: "$${log.extracted_label.status}".

        - `UNAVAILABLE`, `INTERNAL`: poll answered with an error; another alert, "a poll failed", tells why. Alone: it could not start, or died.
        - `PERMISSION_DENIED`, `UNAUTHENTICATED`: the scheduler's account may not call poll any more. Apply again.
        - `DEADLINE_EXCEEDED`: poll took longer than its budget allows.
      EOT
    }
  }

  alert_hours = var.alert_hours == 0 ? 6 : var.alert_hours

  # Conditions on metrics look back so far, and have to hold for the rest of their hours. So a new deployment, of which
  # there is no data yet, has these hours as well until somebody is told.
  window_seconds = 1800
}

resource "google_monitoring_alert_policy" "events" {
  for_each = local.events

  project               = var.project
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "${var.name}: ${each.value.title}"

    condition_matched_log {
      filter           = each.value.filter
      label_extractors = each.value.labels
    }
  }

  alert_strategy {
    auto_close = "7200s"

    # Of each combination of labels: they are chosen so that there are few, and none has the name of a page in it.
    notification_rate_limit {
      period = "${var.alert_repeat_hours * 3600}s"
    }
  }

  documentation {
    subject   = "${var.name}: ${each.value.title}"
    mime_type = "text/markdown"
    content   = "${trimspace(each.value.text)}\n\nMore: docs/alerts.md, \"${title(substr(each.value.title, 0, 1))}${substr(each.value.title, 1, -1)}\".\n"
  }

  depends_on = [google_project_service.services]
}

resource "google_monitoring_alert_policy" "queues" {
  project               = var.project
  display_name          = "${var.name}: a queue does not drain"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels
  user_labels           = local.labels

  # While a large library is fetched for the first time its queue is not empty for days. What is wrong is a queue in which
  # something waits and nothing ends well.
  dynamic "conditions" {
    for_each = google_cloud_tasks_queue.queues
    content {
      display_name = "${conditions.value.name} does not drain"

      condition_prometheus_query_language {
        query                     = <<-EOT
          sum(min_over_time(cloudtasks_googleapis_com:queue_depth{queue_id="${conditions.value.name}"}[${local.window_seconds}s])) > 0
          unless
          sum(increase(cloudtasks_googleapis_com:queue_task_attempt_count{queue_id="${conditions.value.name}",response_code="ok"}[${local.window_seconds}s])) > 0
        EOT
        duration                  = "${var.alert_queue_hours * 3600 - local.window_seconds}s"
        evaluation_interval       = "300s"
        disable_metric_validation = true # a queue in which nothing was ever tried has no count of attempts
      }
    }
  }

  alert_strategy {
    auto_close = "7200s"
  }

  documentation {
    subject   = "${var.name}: a queue does not drain"
    mime_type = "text/markdown"
    content   = <<-EOT
      For ${var.alert_queue_hours} hours tasks have been waiting in a queue of Pagebind, and not one has ended well. The condition names the queue.

      Is the queue paused? Is the server away? Then another alert says so, and it will drain by itself. Else look at the answers of the function that it calls.

      More: docs/alerts.md, "A queue does not drain".
    EOT
  }

  depends_on = [google_project_service.services]
}

resource "google_logging_metric" "polls_ended" {
  count = local.alert_hours == null ? 0 : 1

  project     = var.project
  name        = "${replace(var.name, "-", "_")}_polls_ended"
  description = "Polls of Pagebind that came to their end."
  filter      = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name="${local.names["poll"]}"
    log_id("run.googleapis.com/stderr")
    jsonPayload.message="poll ended"
  EOT

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.services]
}

locals {
  # cloud.google.com/monitoring/promql/promql-mapping
  polls_ended = [for metric in google_logging_metric.polls_ended : "logging_googleapis_com:user_${metric.name}{monitored_resource=\"cloud_run_revision\"}[${local.window_seconds}s]"]
}

resource "google_monitoring_alert_policy" "silence" {
  count = length(google_logging_metric.polls_ended)

  project               = var.project
  display_name          = "${var.name}: no successful poll"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "no successful poll for ${local.alert_hours} hours"

    condition_prometheus_query_language {
      # No data, or data that says nought: which of the two a metric without lines has is not documented.
      query                     = <<-EOT
        sum(absent_over_time(${local.polls_ended[count.index]}))
        or
        sum(increase(${local.polls_ended[count.index]})) == 0
      EOT
      duration                  = "${local.alert_hours * 3600 - local.window_seconds}s"
      evaluation_interval       = "300s"
      disable_metric_validation = true # the metric has no data before the first poll
    }
  }

  alert_strategy {
    auto_close = "7200s"
  }

  documentation {
    subject   = "${var.name}: no successful poll for ${local.alert_hours} hours"
    mime_type = "text/markdown"
    content   = <<-EOT
      No poll has come to its end for ${local.alert_hours} hours. New pages on the server are not seen.

      If another alert came before ("a poll failed", "credentials refused", "the scheduler's call failed"), that is the cause. If none did, poll is not called: is the scheduler's job paused, or the project without billing?

      More: docs/alerts.md, "No successful poll".
    EOT
  }

  depends_on = [google_project_service.services]
}
