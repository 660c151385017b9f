# What a plan warns of in the configuration, and what it does not. No provider is needed.

variables {
  project       = "my-project"
  region        = "europe-west1"
  configuration = "tests/at-home.toml"
  alert_emails  = ["somebody@example.org"]
  source_url    = "https://alist.example.org"
}

run "as_at_home" {
  command = plan

  variables {
    source_url = null
  }

  expect_failures = [check.secrets_are_given, check.the_server_is_reached]
}

run "all_secrets_named" {
  command = plan

  variables {
    secrets       = { ALIST_TOKEN = { version = "1" }, PHONE_URL = { version = "1" }, MAIL_URL = { version = "1" }, COMICS_PASSWORD = { version = "1" }, KOMGA_TOKEN = { version = "1" } }
    secret_values = { ALIST_TOKEN = "secret", PHONE_URL = "secret", MAIL_URL = "secret", COMICS_PASSWORD = "secret", KOMGA_TOKEN = "secret" }
  }
}

run "the_token_is_given_otherwise" {
  command = plan

  variables {
    token         = "a-token"
    token_version = "1"
    secrets       = { PHONE_URL = { version = "1" }, MAIL_URL = { version = "1" }, COMICS_PASSWORD = { version = "1" }, KOMGA_TOKEN = { version = "1" } }
    secret_values = { PHONE_URL = "secret", MAIL_URL = "secret", COMICS_PASSWORD = "secret", KOMGA_TOKEN = "secret" }
  }
}

run "without_alist_token" {
  command = plan

  variables {
    secrets       = { PHONE_URL = { version = "1" }, MAIL_URL = { version = "1" }, COMICS_PASSWORD = { version = "1" }, KOMGA_TOKEN = { version = "1" } }
    secret_values = { PHONE_URL = "secret", MAIL_URL = "secret", COMICS_PASSWORD = "secret", KOMGA_TOKEN = "secret" }
  }

  expect_failures = [check.secrets_are_given]
}

run "without_phone_url" {
  command = plan

  variables {
    secrets       = { ALIST_TOKEN = { version = "1" }, MAIL_URL = { version = "1" }, COMICS_PASSWORD = { version = "1" }, KOMGA_TOKEN = { version = "1" } }
    secret_values = { ALIST_TOKEN = "secret", MAIL_URL = "secret", COMICS_PASSWORD = "secret", KOMGA_TOKEN = "secret" }
  }

  expect_failures = [check.secrets_are_given]
}

run "without_mail_url" {
  command = plan

  variables {
    secrets       = { ALIST_TOKEN = { version = "1" }, PHONE_URL = { version = "1" }, COMICS_PASSWORD = { version = "1" }, KOMGA_TOKEN = { version = "1" } }
    secret_values = { ALIST_TOKEN = "secret", PHONE_URL = "secret", COMICS_PASSWORD = "secret", KOMGA_TOKEN = "secret" }
  }

  expect_failures = [check.secrets_are_given]
}

run "without_comics_password" {
  command = plan

  variables {
    secrets       = { ALIST_TOKEN = { version = "1" }, PHONE_URL = { version = "1" }, MAIL_URL = { version = "1" }, KOMGA_TOKEN = { version = "1" } }
    secret_values = { ALIST_TOKEN = "secret", PHONE_URL = "secret", MAIL_URL = "secret", KOMGA_TOKEN = "secret" }
  }

  expect_failures = [check.secrets_are_given]
}

run "without_komga_token" {
  command = plan

  variables {
    secrets       = { ALIST_TOKEN = { version = "1" }, PHONE_URL = { version = "1" }, MAIL_URL = { version = "1" }, COMICS_PASSWORD = { version = "1" } }
    secret_values = { ALIST_TOKEN = "secret", PHONE_URL = "secret", MAIL_URL = "secret", COMICS_PASSWORD = "secret" }
  }

  expect_failures = [check.secrets_are_given]
}

run "at_home_1" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://localhost:5244"
  }

  expect_failures = [check.the_server_is_reached]
}

run "at_home_2" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://alist:5244"
  }

  expect_failures = [check.the_server_is_reached]
}

run "at_home_3" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://alist.local"
  }

  expect_failures = [check.the_server_is_reached]
}

run "at_home_4" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "https://ALIST.LAN/"
  }

  expect_failures = [check.the_server_is_reached]
}

run "at_home_5" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://10.0.0.4"
  }

  expect_failures = [check.the_server_is_reached]
}

run "at_home_6" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://127.0.0.1:5244"
  }

  expect_failures = [check.the_server_is_reached]
}

run "at_home_7" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://172.31.255.1"
  }

  expect_failures = [check.the_server_is_reached]
}

run "at_home_8" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://192.168.1.4/alist"
  }

  expect_failures = [check.the_server_is_reached]
}

run "at_home_9" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://169.254.1.1"
  }

  expect_failures = [check.the_server_is_reached]
}

run "at_home_10" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://100.100.1.1"
  }

  expect_failures = [check.the_server_is_reached]
}

run "at_home_11" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://[::1]:5244"
  }

  expect_failures = [check.the_server_is_reached]
}

run "at_home_12" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://[fd00::4]"
  }

  expect_failures = [check.the_server_is_reached]
}

run "at_home_13" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://[fe80::1]"
  }

  expect_failures = [check.the_server_is_reached]
}

run "outside_1" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "https://alist.example.org:5244"
  }
}

run "outside_2" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://11.0.0.4"
  }
}

run "outside_3" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://172.32.0.1"
  }
}

run "outside_4" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://192.169.1.1"
  }
}

run "outside_5" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://100.128.0.1"
  }
}

run "outside_6" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "http://[2001:db8::1]:5244"
  }
}

run "outside_7" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "https://10.example.org"
  }
}

run "outside_8" {
  command = plan

  variables {
    configuration = "tests/pagebind.toml"
    source_url    = "https://local.example.org/lan"
  }
}

run "the_address_is_that_of_the_server" {
  command = plan

  variables {
    configuration = "tests/inline.toml"
    source_url    = null
  }

  assert {
    condition     = local.host == "alist.example.org" && length(local.unnamed) == 0
    error_message = "Another address is looked at, or a secret is seen where there is none."
  }
}
