# What a person decides. What alerts need is in variables-monitoring.tf.

variable "project" {
  description = "Id of the Google Cloud project, which has billing. Pagebind may share it with others."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "\"${var.project}\" is no project id: 6 to 30 lower-case letters, digits and hyphens, as `gcloud projects list` shows them."
  }
}

variable "region" {
  description = "Region of functions, queues and buckets, e.g. europe-west1: one near the server, for all pages travel there."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+(-[a-z]+)+[0-9]+$", var.region))
    error_message = "\"${var.region}\" is no region: write one as `gcloud functions regions list` shows them, e.g. europe-west1, without a zone."
  }
}

variable "name" {
  description = "How all names begin. Two Pagebinds in one project need two."
  type        = string
  default     = "pagebind"
  nullable    = false

  # The shortest room is that of a service account, "<name>-scheduler" in 30 characters. With it a function's address,
  # "<name>-finalize-<project number>", keeps below the 63 of a DNS segment, and a bucket, "<project>-<name>-library", below 63.
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "\"${var.name}\" is no name: 2 to 20 lower-case letters, digits and single hyphens, the first one a letter, the last one no hyphen."
  }

  validation {
    condition     = !can(regex("^goog|google", var.name))
    error_message = "\"${var.name}\" is no name: Google gives nobody a bucket called so."
  }
}

variable "labels" {
  description = "Labels of everything that can have them, besides app and managed-by."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "A label is not as Google takes them: lower-case letters, digits, _ and -, at most 63 of them, the first one of a key a letter."
  }

  validation {
    condition     = length(setintersection(keys(var.labels), ["app", "managed-by"])) == 0
    error_message = "labels has app or managed-by, which this module sets itself: take other keys."
  }
}

variable "configuration" {
  description = "Path of pagebind.toml, from this folder or absolute. What is said here (store, queues, token) goes before what it says."
  type        = string
  default     = "../../pagebind.toml"
  nullable    = false

  validation {
    condition     = try(fileexists(pathexpand(var.configuration)), false)
    error_message = "configuration is \"${var.configuration}\", and there is no such file: write the path of your pagebind.toml, from infra/terraform or absolute."
  }

  validation {
    condition     = !try(fileexists(pathexpand(var.configuration)), false) || can(regex("(?m)^\\s*(\\[\\[\\s*[\"']?subscription[\"']?\\s*\\]\\]|[\"']?subscription[\"']?\\s*=\\s*\\[(\\s|#[^\\n]*\\n)*\\{)", file(pathexpand(var.configuration))))
    error_message = "${var.configuration} has no [[subscription]]: Pagebind would have nothing to look at."
  }
}

variable "source_url" {
  description = "Address of the server as the functions reach it, where it is another one than in the configuration."
  type        = string
  default     = null

  validation {
    condition     = var.source_url == null || can(regex("^https?://[^\\s/@]+(/\\S*)?$", var.source_url))
    error_message = "source_url is no address: write it as https://alist.example.org, without user and password."
  }
}

variable "downloads_per_second" {
  description = "Downloads begun per second; null: as the configuration says. The queue of pages keeps to it as well."
  type        = number
  default     = null

  validation {
    condition     = var.downloads_per_second == null || try(var.downloads_per_second > 0 && var.downloads_per_second <= 500, false)
    error_message = "downloads_per_second is above 0 and at most 500, which is what a queue can do; null leaves it to the configuration."
  }
}

variable "schedule" {
  description = <<-EOT
    When the server is looked at.
    every_minutes: time between two polls, which divides an hour or a day.
    cron: a schedule of your own instead; every_minutes then says about how far apart its polls are.
    time_zone: of cron, e.g. Europe/Berlin.
    budget_seconds: so long may a poll take; the next one goes on where it stopped.
  EOT
  type = object({
    every_minutes  = optional(number, 15)
    cron           = optional(string)
    time_zone      = optional(string, "Etc/UTC")
    budget_seconds = optional(number, 480)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains([3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440], var.schedule.every_minutes)
    error_message = "schedule.every_minutes is ${var.schedule.every_minutes}, which divides neither an hour nor a day: take one of 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440."
  }

  validation {
    condition     = var.schedule.cron == null || can(regex("^[0-9A-Za-z*,/-]+( [0-9A-Za-z*,/-]+){4}$", var.schedule.cron))
    error_message = "schedule.cron is \"${coalesce(var.schedule.cron, "-")}\", which are not the five fields of a cron line, e.g. \"*/15 6-23 * * *\"."
  }

  validation {
    condition     = can(regex("^[A-Za-z]+(/[A-Za-z0-9_+-]+)*$", var.schedule.time_zone))
    error_message = "schedule.time_zone is \"${var.schedule.time_zone}\": write a name of the time zone database, e.g. Europe/Berlin."
  }

  # The function has 120 s more than its budget, and the scheduler waits 30 minutes at most.
  validation {
    condition     = var.schedule.budget_seconds >= 10 && var.schedule.budget_seconds <= 1680 && floor(var.schedule.budget_seconds) == var.schedule.budget_seconds
    error_message = "schedule.budget_seconds is ${var.schedule.budget_seconds}: take 10 to 1680, whole seconds; the scheduler waits 30 minutes, and a poll needs up to 120 s after its budget."
  }

  validation {
    condition     = var.schedule.budget_seconds + 120 <= var.schedule.every_minutes * 60
    error_message = "A poll may take ${var.schedule.budget_seconds} s and 120 more, and the next one comes after ${var.schedule.every_minutes} minutes: lower schedule.budget_seconds or raise schedule.every_minutes."
  }
}

variable "sizes" {
  description = <<-EOT
    Sizes of the functions; the defaults and what they cost are in docs/adr/0026-sizes-of-the-functions.md.
    cpu: vCPUs, 0.08 to 1, or 2, 4, 6, 8. memory_mib: MiB. instances: at most so many.
    requests: of fetch, pages that one instance fetches at once; with instances it is what the queue has under way.
  EOT
  type = object({
    poll = optional(object({
      cpu        = optional(number, 0.1666)
      memory_mib = optional(number, 256)
      instances  = optional(number, 2)
    }), {})
    fetch = optional(object({
      cpu        = optional(number, 1)
      memory_mib = optional(number, 512)
      instances  = optional(number, 1)
      requests   = optional(number, 16)
    }), {})
    finalize = optional(object({
      cpu        = optional(number, 0.1666)
      memory_mib = optional(number, 256)
      instances  = optional(number, 4)
    }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for size in values(var.sizes) : (size.cpu >= 0.08 && size.cpu <= 1) || contains([2, 4, 6, 8], size.cpu)])
    error_message = "sizes has a cpu that Cloud Run does not offer: take 0.08 to 1, or 2, 4, 6, 8."
  }

  # cloud.google.com/run/docs/configuring/services/memory-limits and .../cpu
  validation {
    condition = alltrue([for size in values(var.sizes) : size.memory_mib >= lookup({ "4" = 2048, "6" = 4096, "8" = 4096 }, tostring(size.cpu), 128)
    && size.memory_mib <= (size.cpu < 0.5 ? 512 : size.cpu < 1 ? 1024 : size.cpu * 4096) && floor(size.memory_mib) == size.memory_mib])
    error_message = "sizes has a memory_mib that does not fit its cpu: 128 to 512 below half a vCPU, to 1024 below a whole one, to 4096 for each vCPU from there on; 4 vCPUs have 2048 at least, 6 and 8 have 4096."
  }

  validation {
    condition     = var.sizes.fetch.requests == 1 || var.sizes.fetch.cpu >= 1
    error_message = "sizes.fetch has ${var.sizes.fetch.requests} requests at a time on ${var.sizes.fetch.cpu} vCPU: Cloud Run serves one at a time below a whole vCPU."
  }

  validation {
    condition     = var.sizes.fetch.requests >= 1 && var.sizes.fetch.requests <= 250 && floor(var.sizes.fetch.requests) == var.sizes.fetch.requests
    error_message = "sizes.fetch.requests is ${var.sizes.fetch.requests}: take a whole number from 1 to 250."
  }

  # cloud.google.com/tasks/docs/quotas
  validation {
    condition     = var.sizes.fetch.requests * var.sizes.fetch.instances <= 5000
    error_message = "sizes.fetch has ${var.sizes.fetch.requests} requests on each of ${var.sizes.fetch.instances} instances: a queue has 5000 under way at most, lower one of them."
  }

  # Two addresses an instance, and four are Google's: cloud.google.com/run/docs/configuring/networking-best-practices
  validation {
    condition     = !var.egress_address || try(2 * (var.sizes.poll.instances + var.sizes.fetch.instances) <= pow(2, 32 - tonumber(split("/", var.egress_range)[1])) - 4, true)
    error_message = "sizes has ${var.sizes.poll.instances + var.sizes.fetch.instances} instances of poll and fetch, which take two addresses each: lower sizes, or take an egress_range that is larger than ${var.egress_range}."
  }

  validation {
    condition     = alltrue([for size in values(var.sizes) : size.instances >= 1 && size.instances <= 100 && floor(size.instances) == size.instances])
    error_message = "sizes has instances that are not a whole number from 1 to 100."
  }
}

variable "max_attempts" {
  description = "So often is a page tried before its failure is recorded; a later poll hands it out again."
  type        = number
  default     = 8
  nullable    = false

  validation {
    condition     = var.max_attempts >= 1 && var.max_attempts <= 100 && floor(var.max_attempts) == var.max_attempts
    error_message = "max_attempts is ${var.max_attempts}: take a whole number from 1 to 100."
  }
}

variable "token" {
  description = "Token of the server; neither plan nor state hold it. Give it as TF_VAR_token, at plan and at apply."
  type        = string
  default     = null
  sensitive   = true
  ephemeral   = true
}

variable "token_version" {
  description = "Name of the token's present value, e.g. \"1\"; another one puts the value of token into use. Null: no token, where the configuration says how to log in, or for a guest."
  type        = string
  default     = null

  validation {
    condition     = var.token_version == null || try(length(trimspace(var.token)) > 0, false)
    error_message = "token_version is set and token is not: export TF_VAR_token, at every plan and apply, or leave token_version out."
  }

  validation {
    condition     = var.token_version == null || try(length(trimspace(var.token_version)) > 0, false)
    error_message = "token_version is empty: write a name of the value, e.g. \"1\", or leave it out where there is no token."
  }
}

variable "secrets" {
  description = <<-EOT
    Further secrets, by the name that the configuration gives them: NAME is what "env:NAME" means there.
    version: name of the present value; another one puts the value in secret_values into use, and deploys its functions.
    functions: who gets it: poll, which logs in, lists and tells people; fetch as well for a login or a folder's password.
  EOT
  type = map(object({
    version   = string
    functions = optional(set(string), ["poll"])
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[A-Za-z_][A-Za-z0-9_]{0,199}$", name))])
    error_message = "secrets has a name that no variable can have: letters, digits and _, the first one no digit, as in env:NAME of your configuration."
  }

  validation {
    condition     = alltrue([for name in keys(var.secrets) : !can(regex("^(PAGEBIND_|GOOGLE_|X_GOOGLE_|FUNCTION_|K_|CLOUD_RUN_|PYTHON|LD_|GRPC_|MALLOC_|(PORT|PATH|HOME|THREADS|WORKERS|LOG_EXECUTION_ID|SECRETS_VERSION|token)$)", name))])
    error_message = "secrets has a name that the platform or this module needs itself; take another one, in the configuration too."
  }

  validation {
    condition     = alltrue([for secret in values(var.secrets) : length(setsubtract(secret.functions, ["poll", "fetch"])) == 0 && length(secret.functions) > 0])
    error_message = "secrets names functions other than poll and fetch: no other one reads a secret."
  }

  validation {
    condition     = alltrue([for secret in values(var.secrets) : try(length(trimspace(secret.version)) > 0, false)])
    error_message = "secrets has an empty version: write a name of the value, e.g. \"1\"."
  }
}

variable "secret_values" {
  description = "Values of secrets by name; neither plan nor state hold them. Give them as TF_VAR_secret_values, at plan and at apply."
  type        = map(string)
  default     = {}
  nullable    = false
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = alltrue([for name in keys(var.secrets) : try(length(var.secret_values[name]) > 0, false)])
    error_message = "One of secrets has no value: export TF_VAR_secret_values='{\"NAME\": \"value\"}' with all of them, at every plan and apply."
  }

  validation {
    condition     = alltrue([for name in keys(var.secret_values) : contains(keys(var.secrets), name)])
    error_message = "secret_values has a value for something that secrets does not name: add it there, with a version."
  }
}

variable "invokers" {
  description = "Who else may call poll, e.g. user:you@example.org or group:family@example.org."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.invokers : can(regex("^(user|group|serviceAccount):[^@\\s]+@[^@\\s]+$", member))])
    error_message = "invokers has a member that is no person, group or account: write user:you@example.org, group:... or serviceAccount:... ."
  }
}

variable "storage" {
  description = <<-EOT
    location: of the buckets; null: the region. All three lie in one place, or publishing a book would move its bytes.
    soft_delete_days: so long can a book that was deleted or replaced be brought back.
    leftovers_days: so old must the leavings of a process that was killed be before the work bucket drops them.
  EOT
  type = object({
    location         = optional(string)
    soft_delete_days = optional(number, 7)
    leftovers_days   = optional(number, 3)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.storage.location == null || can(regex("^([A-Za-z]{2,4}[0-9]?|[A-Za-z]+(-[A-Za-z]+)+[0-9]+)$", var.storage.location))
    error_message = "storage.location is \"${coalesce(var.storage.location, "-")}\": write a region, e.g. europe-west1, or a larger place, e.g. EU or EUR4."
  }

  validation {
    condition     = var.storage.soft_delete_days >= 7 && var.storage.soft_delete_days <= 90
    error_message = "storage.soft_delete_days is ${var.storage.soft_delete_days}: Google keeps deleted objects for 7 to 90 days."
  }

  validation {
    condition     = var.storage.leftovers_days >= 1 && floor(var.storage.leftovers_days) == var.storage.leftovers_days
    error_message = "storage.leftovers_days is ${var.storage.leftovers_days}: take whole days, 1 at least, for less would remove what is being worked on."
  }
}

variable "egress_address" {
  description = "Whether poll and fetch call the server from one fixed address, for a server that admits by address. Google bills the address and the gateway. Switched off again, its network is held for up to two hours: apply once more then."
  type        = bool
  default     = false
  nullable    = false
}

variable "egress_range" {
  description = <<-EOT
    Private addresses of the network that egress_address needs: two for each instance of poll and fetch, and four.
    Another range must not overlap the former one, for there are both until the functions have changed. Google holds the
    former one's addresses for up to two hours: an apply that cannot delete it is made again then.
  EOT
  type        = string
  default     = "10.73.0.0/26"
  nullable    = false

  validation {
    condition     = try(cidrsubnet(var.egress_range, 0, 0) == var.egress_range, false) && can(regex("^(10\\..*/([89]|1[0-9]|2[0-6])|172\\.(1[6-9]|2[0-9]|3[01])\\..*/(1[2-9]|2[0-6])|192\\.168\\..*/(1[6-9]|2[0-6]))$", var.egress_range))
    error_message = "egress_range is \"${var.egress_range}\": write a private range of 64 addresses or more by its first address, in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, e.g. 10.73.0.0/26."
  }
}

variable "notifications" {
  description = "Whether poll gets what it takes to tell people. Null: if the configuration says in [notify] urls whom."
  type        = bool
  default     = null
}

variable "request_logs" {
  description = "Whether the platform's own line about each request is kept where all went well; Pagebind writes one anyway."
  type        = bool
  default     = false
  nullable    = false
}

variable "runtime" {
  description = "Python of the functions."
  type        = string
  default     = "python313"
  nullable    = false

  validation {
    condition     = contains(["python312", "python313", "python314"], var.runtime)
    error_message = "runtime is \"${var.runtime}\": take python312, python313 or python314."
  }
}

variable "rights_wait_seconds" {
  description = "How long new rights may take until Google knows them everywhere, before the first functions are built."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.rights_wait_seconds >= 0 && var.rights_wait_seconds <= 600 && floor(var.rights_wait_seconds) == var.rights_wait_seconds
    error_message = "rights_wait_seconds is ${var.rights_wait_seconds}: take 0 to 600, whole seconds."
  }
}
