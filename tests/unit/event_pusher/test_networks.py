"""Which addresses webhooks may reach."""

import pytest

from event_pusher.domain.networks import BadNetwork, networks_of, permitted

PRIVATE = networks_of("private")


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "2606:4700::1111",
        "10.1.2.3",
        "192.168.0.9",
        "172.31.255.1",
        "fd12::1",
        "100.64.1.1",
    ],
)
def test_public_and_private_addresses_may_be_reached(address):
    assert permitted(address, PRIVATE)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "192.0.2.1",
        "fd00:ec2::254",
        "100.100.100.200",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_the_machine_itself_its_link_and_its_metadata_may_not(address):
    assert not permitted(address, PRIVATE)


def test_without_private_only_public_addresses_may_be_reached():
    assert permitted("8.8.8.8", ())
    assert not permitted("10.1.2.3", ())


def test_loopback_and_single_networks_may_be_allowed():
    allowed = networks_of("loopback, 10.1.0.0/16")
    assert permitted("127.0.0.1", allowed)
    assert permitted("::ffff:127.0.0.1", allowed)
    assert permitted("10.1.2.3", allowed)
    assert not permitted("10.2.2.3", allowed)
    assert not permitted("169.254.169.254", allowed)


def test_no_word_is_no_network_and_an_unknown_one_is_named():
    assert networks_of("") == ()
    with pytest.raises(BadNetwork, match="nowhere"):
        networks_of("private,nowhere")
