locals {
  hours = floor(var.schedule.every_minutes / 60)
  cron  = coalesce(var.schedule.cron, local.hours == 0 ? "*/${var.schedule.every_minutes} * * * *" : local.hours == 24 ? "0 0 * * *" : "0 */${local.hours} * * *")
}

resource "google_cloud_scheduler_job" "poll" {
  project          = var.project
  region           = var.region
  name             = local.names["poll"]
  description      = "Pagebind: looks at the server."
  schedule         = local.cron
  time_zone        = var.schedule.time_zone
  attempt_deadline = "${local.timeouts["poll"]}s"

  retry_config {
    retry_count = 0 # the next poll goes on where this one stopped
  }

  http_target {
    uri         = local.urls["poll"]
    http_method = "POST"

    oidc_token {
      service_account_email = local.emails["scheduler"]
      audience              = local.urls["poll"]
    }
  }

  depends_on = [
    google_cloud_run_v2_service_iam_member.invokers,
    google_cloud_tasks_queue_iam_member.enqueuers,
    google_service_account_iam_member.acts_as_queue,
    google_storage_bucket_object.configuration,
  ]
}
