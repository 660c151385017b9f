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
  description = "Hours without a successful poll until somebody is told; null: never, for a schedule.cron whose polls lie further apart."
  type        = number
  default     = 6

  validation {
    condition     = var.alert_hours == null || try(contains(range(1, 24), var.alert_hours), false)
    error_message = "alert_hours is no whole number from 1 to 23, and not null."
  }

  validation {
    condition     = var.alert_hours == null || try(var.alert_hours * 60 >= var.schedule.every_minutes + 30, false)
    error_message = "alert_hours would tell of a poll that is missing before it is due: with schedule.every_minutes = ${var.schedule.every_minutes} take ${ceil((var.schedule.every_minutes + 30) / 60)} hours or more."
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
