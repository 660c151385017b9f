locals {
  queues = {
    fetch = {
      # As many as the instances serve at once: more would wait in them, paid for.
      concurrent = var.sizes.fetch.requests * var.sizes.fetch.instances
      per_second = coalesce(var.downloads_per_second, 500) # 500 is the most that a queue can do
    }
    finalize = {
      concurrent = var.sizes.finalize.instances
      per_second = 5
    }
  }
  queue_paths = { for queue in keys(local.queues) : queue => "projects/${var.project}/locations/${var.region}/queues/${google_cloud_tasks_queue.queues[queue].name}" }

  enqueuers = { for pair in setproduct(["poll", "finalize"], keys(local.queues)) : "${pair[0]} fills ${pair[1]}" => { function = pair[0], queue = pair[1] } }
}

resource "google_cloud_tasks_queue" "queues" {
  for_each = local.queues

  project  = var.project
  location = var.region
  name     = local.names[each.key]

  rate_limits {
    max_concurrent_dispatches = each.value.concurrent
    max_dispatches_per_second = each.value.per_second
  }

  retry_config {
    max_attempts  = var.max_attempts # of fetch it is what the function is told, too: at the last one it records the reason
    min_backoff   = "10s"
    max_backoff   = "300s"
    max_doublings = 5
  }

  depends_on = [google_project_service.services]
}

resource "google_cloud_tasks_queue_iam_member" "enqueuers" {
  for_each = local.enqueuers

  project  = var.project
  location = var.region
  name     = google_cloud_tasks_queue.queues[each.value.queue].name
  role     = "roles/cloudtasks.enqueuer"
  member   = local.members[each.value.function]
}
