"""Which networks links may lead to."""

from __future__ import annotations

import pytest

from pagebind.adapters.alist.http import host_of
from pagebind.adapters.alist.redirects import AddressRefused, Ground, RedirectPolicy, RedirectRefused, ground_of

NEVER = [
    "169.254.169.254",  # AWS, Google, Azure, and most others
    "169.254.170.2",  # credentials of ECS
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",  # AWS
    "fd00:ec2::23",  # pods of EKS
    "fd20:ce::254",  # Google
    "fd00:c1::a9fe:a9fe",  # Oracle by IPv6
    "fd00:42::42",  # Scaleway
    "100.100.100.200",  # Alibaba
    "192.0.0.192",  # Oracle
    "168.63.129.16",  # Azure
    "0.0.0.0",
    "0.0.0.1",
    "::",
    "224.0.0.1",
    "ff02::1",
    "240.0.0.1",
    "255.255.255.255",
    "4000::1",
    "::169.254.169.254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "64:ff9b::a83f:8110",
    "no address",
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.5",
    "100.64.0.1",
    "198.18.0.7",  # what a proxy on this machine gives out for any name
    "fd12:3456::1",
    "fec0::1",
    "::ffff:192.168.1.5",
    "64:ff9b::c0a8:105",
    "2002:c0a8:105::1",
]
PUBLIC = ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]


@pytest.mark.parametrize(
    ("addresses", "ground"), [(NEVER, Ground.NEVER), (PRIVATE, Ground.PRIVATE), (PUBLIC, Ground.PUBLIC)]
)
def test_what_network_an_address_is_of(addresses: list[str], ground: Ground) -> None:
    assert {address: ground_of(address) for address in addresses} == dict.fromkeys(addresses, ground)


def admitted(policy: RedirectPolicy, address: str) -> bool:
    try:
        policy.admit(address)
    except AddressRefused:
        return False
    return True


def test_a_private_network_is_for_private_servers() -> None:
    policy = RedirectPolicy(allow_private=False)
    assert not admitted(policy, "192.168.1.5")
    policy.source_is_at("10.0.0.1")
    assert admitted(policy, "192.168.1.5")
    policy.source_is_at("8.8.8.8")  # its name means another address now
    assert not admitted(policy, "192.168.1.5")
    policy.source_is_at("10.0.0.1")  # and again: who decides what a name means does not decide whose network is open
    assert not admitted(policy, "192.168.1.5")
    assert admitted(policy, "8.8.4.4")


@pytest.mark.parametrize("home", ["8.8.8.8", "192.168.1.5", "169.254.1.1"])
@pytest.mark.parametrize("allow_private", [True, False])
def test_some_addresses_are_for_nobody(home: str, allow_private: bool) -> None:
    policy = RedirectPolicy(allow_private=allow_private)
    policy.source_is_at(home)
    assert [address for address in NEVER if admitted(policy, address)] == []
    assert [address for address in PUBLIC if not admitted(policy, address)] == []


def test_who_may_follow_says_so() -> None:
    policy = RedirectPolicy(allow_private=True)
    policy.source_is_at("8.8.8.8")
    assert all(admitted(policy, address) for address in PRIVATE)


@pytest.mark.parametrize("address", ["192.168.1.5", "[fd12::1]:8080", "user:CANARY@localhost.@127.0.0.1"])
def test_an_address_in_the_link_itself_is_judged_before_anybody_connects(address: str) -> None:
    with pytest.raises(RedirectRefused, match="private network") as caught:
        RedirectPolicy(allow_private=False).check(f"http://{address}/CANARY?CANARY", path="/a.jpg", show=host_of)
    assert "allow_private = true" in caught.value.fix
    assert "CANARY" not in str(caught.value) + caught.value.fix
    assert not caught.value.retryable
    RedirectPolicy(allow_private=True).check(f"http://{address}/x", path="/a.jpg", show=host_of)


def test_names_are_not_judged_before_anybody_connects() -> None:
    RedirectPolicy(allow_private=False).check("http://localhost/x", path="/a.jpg", show=host_of)
