"""Overrides and ports without a guest: what is refused, what is chosen."""

import socket

import msgspec
import pytest

from contracts.artifacts import TemplateConfig
from contracts.vms import Overrides, PortRule
from node_agent.drivers.port import CannotHonour, HostFault
from node_agent.drivers.qemu import overrides, ports

CONFIG = TemplateConfig(name="t", ports=(PortRule(name="ssh", guest_port=22),))
DISK = 1 << 20


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vlan_tag", "7"),
        ("usb_device", "stick"),
        ("video_controller", "fbuf"),
        ("hvapic", "on"),
        ("csr_active_config", "forceOn"),
        ("hw_serial", "x"),
        ("hw_uuid", "x"),
        ("network_local", "on"),
        ("network_mode", "bridge"),
        ("network_mode", "host"),
        ("mac_address", "nonsense"),
        ("mac_address", "01:00:5E:00:00:01"),
        ("vnc_password", "ninechars"),
        ("vcpu", 1000),
        ("vram", 1),
        ("disk", {"size": DISK - 512}),
        ("port_forwarding_override", [{"name": "a", "guest_port": 70000}]),
        ("port_forwarding_override", [{"name": "a", "guest_port": 1, "host_ip": "x,y"}]),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(CannotHonour, match=field):
        overrides.apply(CONFIG, msgspec.convert({field: value}, Overrides), DISK)


def test_without_overrides_it_is_the_template() -> None:
    hardware = overrides.apply(CONFIG, Overrides(), DISK)
    assert (hardware.cpu, hardware.ram_mb, hardware.disk_size) == (1, 512, None)
    assert hardware.ports == CONFIG.ports
    assert hardware.mac_address.startswith("52:54:00:")


def test_rules_given_replace_those_of_the_template() -> None:
    wish = Overrides(port_forwarding_override=())
    assert overrides.apply(CONFIG, wish, DISK).ports == ()


def test_a_disconnected_vm_forwards_nothing() -> None:
    hardware = overrides.apply(CONFIG, Overrides(network_mode="disconnected"), DISK)
    assert (hardware.connected, hardware.ports) == (False, ())


def test_a_machine_type_from_a_template_cannot_carry_options() -> None:
    with pytest.raises(CannotHonour, match="machine"):
        overrides.apply(
            TemplateConfig(name="t", machine="q35,dumpdtb=/etc/shadow"), Overrides(), DISK
        )


def test_the_next_free_port_is_one_that_no_vm_and_no_program_has() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        first = listener.getsockname()[1]
        rules = [PortRule(name="a", guest_port=22), PortRule(name="b", guest_port=80)]
        found = ports.choose(rules, (), {first + 1}, range(first, first + 200), "127.0.0.1")
    assert first not in found
    assert first + 1 not in found
    assert len(set(found)) == 2


def test_a_vm_keeps_the_ports_it_had() -> None:
    rules = [PortRule(name="a", guest_port=22)]
    assert ports.choose(rules, (10123,), (), range(10000, 10001), "127.0.0.1") == (10123,)


def test_a_fixed_port_of_another_vm_is_a_host_fault() -> None:
    rules = [PortRule(name="a", guest_port=22, host_port=10007)]
    with pytest.raises(HostFault, match="failed to start: port 10007"):
        ports.choose(rules, (), {10007}, range(10000, 10100), "127.0.0.1")


def test_a_foreign_address_is_named() -> None:
    rules = [PortRule(name="a", guest_port=22, host_ip="192.0.2.1")]
    with pytest.raises(HostFault, match=r"192\.0\.2\.1 is no address of this host"):
        ports.choose(rules, (), (), range(10000, 10100), "127.0.0.1")
