# Only with `egress_address`: a network whose one way out is a fixed address. Finalize calls nobody but Google.
#
# All of it goes last (`create_before_destroy`), when no function uses it any more: Google deletes no network that one of
# them names, and a function that still asks something would find no way out.

locals {
  egress = { for function in local.functions : function => var.egress_address && function != "finalize" }
}

resource "google_compute_network" "egress" {
  # checkov:skip=CKV2_GCP_18: nothing in it listens, and without a rule nothing is let in
  count = var.egress_address ? 1 : 0

  project                 = var.project
  name                    = var.name
  auto_create_subnetworks = false

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_project_service.services]
}

resource "google_compute_subnetwork" "egress" {
  # checkov:skip=CKV_GCP_26: Pagebind's own lines tell what was asked of whom; flow logs are paid by the packet
  count = var.egress_address ? 1 : 0

  project                  = var.project
  region                   = var.region
  name                     = "${var.name}-${substr(sha256(var.egress_range), 0, 8)}" # another range is another one, beside the old
  network                  = google_compute_network.egress[0].id
  ip_cidr_range            = var.egress_range
  private_ip_google_access = true # storage, queues and secrets are reached without the NAT, which is paid by the byte

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_address" "egress" {
  count = var.egress_address ? 1 : 0

  project = var.project
  region  = var.region
  name    = var.name
  labels  = local.labels

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_project_service.services]
}

resource "google_compute_router" "egress" {
  count = var.egress_address ? 1 : 0

  project = var.project
  region  = var.region
  name    = var.name
  network = google_compute_network.egress[0].id

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_router_nat" "egress" {
  count = var.egress_address ? 1 : 0

  project                            = var.project
  region                             = var.region
  name                               = var.name
  router                             = google_compute_router.egress[0].name
  nat_ip_allocate_option             = "MANUAL_ONLY"
  nat_ips                            = google_compute_address.egress[*].self_link
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  # By itself an instance has 64 ports, and one that was used rests for two minutes: 16 downloads at once of a second each
  # leave 1,920 behind them. 256 at least are enough to begin with, also for 200 instances on one address.
  # cloud.google.com/nat/docs/ports-and-addresses, cloud.google.com/nat/docs/tune-nat-configuration
  enable_dynamic_port_allocation = true
  min_ports_per_vm               = 256
  max_ports_per_vm               = 4096

  subnetwork {
    name                    = google_compute_subnetwork.egress[0].id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }

  lifecycle {
    create_before_destroy = true
  }
}
