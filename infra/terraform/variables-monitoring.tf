# What alerts need; docs/alerts.md says what each of them means.

variable "alert_emails" {
  description = "Who is told by e-mail when something is wrong."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.alert_emails) + length(var.alert_channels) > 0
    error_message = "Nobody would be told when something is wrong: set alert_emails, e.g. [\"you@example.org\"], or alert_channels."
  }

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "alert_emails has an entry that is no address: write each as you@example.org."
  }
}

variable "alert_channels" {
  description = "Further notification channels of Cloud Monitoring that exist already: Slack, PagerDuty, a webhook, a phone."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for channel in var.alert_channels : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", channel))])
    error_message = "alert_channels has an entry that is no channel: write projects/PROJECT/notificationChannels/NUMBER, as `gcloud beta monitoring channels list` shows them."
  }
}

variable "alert_hours" {
  description = <<-EOT
    Hours without a successful poll until somebody is told; null: never. 0: 6, and with schedule.cron a number has to be said.
    Take the longest pause between two polls of your cron and two hours more, rounded up: a poll takes up to half an hour,
    is counted ten minutes later, and in one night a year the clock is put back. From 23:30 to 6:00 that is 9. A pause of
    more than 21 hours cannot be watched: null.
  EOT
  type        = number
  default     = 0

  validation {
    condition     = var.alert_hours == null || try(contains(range(0, 24), var.alert_hours), false)
    error_message = "alert_hours is no whole number from 1 to 23, and not null."
  }

  validation {
    condition     = var.alert_hours != 0 || var.schedule.cron == null
    error_message = "schedule.cron is set and alert_hours is not: take its longest pause and two hours more, e.g. 9 for a night from 23:30 to 6:00, or null to be told of no missing poll."
  }

  # A poll may take half an hour, and what it says is counted some minutes later.
  validation {
    condition     = var.alert_hours == null || try((var.alert_hours == 0 ? 6 : var.alert_hours) * 60 >= var.schedule.every_minutes + 40, false)
    error_message = "alert_hours would tell of a poll that is missing before it is due: with schedule.every_minutes = ${var.schedule.every_minutes} write alert_hours = ${var.schedule.every_minutes + 40 > 23 * 60 ? "null" : "${ceil((var.schedule.every_minutes + 40) / 60)} or more"}."
  }
}

variable "alert_queue_hours" {
  description = "Hours in which tasks wait in a queue and not one ends well until somebody is told."
  type        = number
  default     = 12
  nullable    = false

  validation {
    condition     = contains(range(1, 24), var.alert_queue_hours)
    error_message = "alert_queue_hours is ${var.alert_queue_hours}: take a whole number from 1 to 23."
  }
}

variable "alert_repeat_hours" {
  description = "Hours after which an event that goes on is told again."
  type        = number
  default     = 24
  nullable    = false

  validation {
    condition     = contains(range(1, 49), var.alert_repeat_hours)
    error_message = "alert_repeat_hours is ${var.alert_repeat_hours}: take a whole number from 1 to 48, which is the longest that Google waits."
  }
}
