# What a plan warns of, read off the user's pagebind.toml as far as this can be done without reading TOML.

locals {
  configuration = try(file(pathexpand(var.configuration)), "") # what is no file is refused by the variable

  # Strings and comments as they come, so that neither is taken for the other; the value of `token` with its key.
  tokens = flatten(regexall("((?:^|[\\s{,.])token\\s*=\\s*[\"'][^\"'\\n]*[\"']|\"(?:[^\"\\\\\\n]|\\\\.)*\"|'[^'\\n]*'|#[^\\n]*)", local.configuration))
  references = toset(flatten([
    for token in local.tokens : regexall("^[^#]*[\"']env:([A-Za-z_][A-Za-z0-9_]*)[\"']$", token)
    if var.token_version == null || !can(regex("^[^\"'#]*token\\s*=", token))
  ]))
  unnamed = setsubtract(local.references, keys(var.secrets))

  # The address that the functions call, and whether it is one that nobody has outside of a home.
  source_section = try(regex("(?ms)^\\s*\\[\\s*source\\s*\\](.*?)(?:^\\s*\\[|\\z)", local.configuration)[0], "")
  server         = var.source_url != null ? var.source_url : try(regex("(?m)^\\s*url\\s*=\\s*[\"']([^\"'\\n]*)", local.source_section)[0], "")
  host           = try(lower(regex("^[a-zA-Z]+://(?:[^/@]*@)?(\\[[^\\]]*\\]|[^/:?#]+)", local.server)[0]), "")
  at_home = anytrue([for kind in [
    "^[^.:\\[]+$",                                                   # localhost, or a name without a domain
    "\\.(localhost|local|lan|home|internal|intranet|home\\.arpa)$",  # RFC 6761, 6762, 8375, and what routers say
    "^(0|10|127)\\.[0-9.]+$",                                        # RFC 1122, 1918
    "^(192\\.168|169\\.254|172\\.(1[6-9]|2[0-9]|3[01]))\\.[0-9.]+$", # RFC 1918, 3927
    "^100\\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\\.[0-9.]+$",      # RFC 6598
    "^\\[(::1?|f[cd][0-9a-f]{2}:.*|fe[89ab][0-9a-f]:.*)\\]$",        # RFC 4193, 4291
  ] : can(regex(kind, local.host))])
}

check "secrets_are_given" {
  assert {
    condition     = length(local.unnamed) == 0
    error_message = "The configuration names ${join(", ", [for name in local.unnamed : "env:${name}"])}, which no function would have: add each to secrets, and its value to TF_VAR_secret_values."
  }
}

check "the_server_is_reached" {
  assert {
    condition     = !local.at_home
    error_message = "The address of the server is one of a network at home, where Google's functions are not: set source_url to the address by which it is reached from outside."
  }
}
