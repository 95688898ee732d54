"""What the manifest and config of a template must say."""

import msgspec
import pytest

from contracts.artifacts import (
    CONFIG_TYPE,
    DISK_TYPE,
    INITRD_TYPE,
    KERNEL_TYPE,
    NVRAM_TYPE,
    STATE_TYPE,
    Manifest,
    digest_of,
)
from contracts.vms import PortRule
from registry.domain.artifact import BadManifest
from registry.domain.template_manifest import NETWORK_MODES, read_config, read_manifest
from tests.registries import describe

DISK = (DISK_TYPE, b"disk")
STATE = (STATE_TYPE, b"memory")
CONFIG: dict = {"name": "full", "arch": "arm64", "cpu": 2, "ram_mb": 2048}
SAVED = {"machine": "pc-q35-7.2", "cpu": 2, "ram_mb": 2048, "mac_address": "52:54:00:12:34:56"}
PORT = {"name": "ssh", "guest_port": 22}


def manifest(*parts, config_type=CONFIG_TYPE):
    layers = tuple(describe(*part) for part in parts)
    config = describe(config_type, b"{}")
    return read_manifest(msgspec.json.encode(Manifest(config=config, layers=layers)))


def config(change, *parts):
    return read_config(manifest(DISK, *parts), msgspec.json.encode(CONFIG | change), "a/b")


def test_a_template_may_have_one_of_everything_and_any_other_layer():
    everything = [DISK, (KERNEL_TYPE, b"k"), (INITRD_TYPE, b"i"), (NVRAM_TYPE, b"n"), STATE]
    read = manifest(*everything, ("text/markdown", b"# About"))
    assert len(read.layers) == 6


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], "needs a .*disk"),
        ([DISK, DISK], "twice"),
        ([DISK, (INITRD_TYPE, b"i")], "initrd.* needs a .*kernel"),
        ([DISK, (KERNEL_TYPE, b"1"), (KERNEL_TYPE, b"2")], "more than one .*kernel"),
        (
            [DISK, (KERNEL_TYPE, b"k"), (INITRD_TYPE, b"1"), (INITRD_TYPE, b"2")],
            "more than one .*initrd",
        ),
        ([DISK, (NVRAM_TYPE, b"1"), (NVRAM_TYPE, b"2")], "more than one .*nvram"),
    ],
)
def test_layers_that_do_not_go_together_are_refused(parts, reason):
    with pytest.raises(BadManifest, match=f"layers: .*{reason}"):
        manifest(*parts)


@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ],
)
def test_a_layer_that_need_not_be_in_the_registry_is_refused_by_its_digest(kind):
    """Nodes would ask for it here, and in vain."""
    digest = digest_of(b"elsewhere")
    with pytest.raises(BadManifest, match=f"layers: {digest} is {kind}"):
        manifest(DISK, (kind, b"elsewhere"))


def test_the_config_of_something_else_is_refused():
    with pytest.raises(BadManifest, match=r"config\.mediaType"):
        manifest(DISK, config_type="application/vnd.other.v1+json")


def test_a_state_needs_to_be_told_what_restores_it():
    with pytest.raises(BadManifest, match="saved: goes with a layer"):
        config({}, STATE)
    assert config({"saved": SAVED}, STATE).saved.machine == "pc-q35-7.2"


def test_a_config_says_no_more_than_it_must():
    read = read_config(manifest(DISK), b'{"name":"small","newer":1}', "a/b")
    assert (read.name, read.arch, read.cpu, read.ram_mb) == ("small", "amd64", 1, 512)


@pytest.mark.parametrize("mode", ["", *NETWORK_MODES])
def test_a_documented_network_mode_is_accepted(mode):
    assert config({"network_mode": mode}).network_mode == mode


def test_ports_of_one_number_on_two_addresses_are_accepted():
    ports = [
        PORT | {"name": name, "host_port": 80, "host_ip": address}
        for name, address in (("a", "127.0.0.1"), ("b", "10.0.0.1"))
    ]
    expected = PortRule(name="b", guest_port=22, host_ip="10.0.0.1", host_port=80)
    assert config({"ports": ports}).ports[1] == expected


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": 7}, r"\$\.name"),
        ({"arch": "mips"}, "arch"),
        ({"cpu": 0}, "cpu"),
        ({"cpu": "two"}, r"\$\.cpu"),
        ({"ram_mb": 0}, "ram_mb"),
        ({"machine": "q35,accel=kvm"}, "machine"),
        ({"machine": "-version"}, "machine"),
        ({"network_mode": "bridged"}, "network_mode"),
        ({"display": {"width": 0}}, r"display\.width"),
        ({"display": {"height": 100_000}}, r"display\.height"),
        ({"ports": [PORT, {"name": "", "guest_port": 1}]}, r"ports\[1\]\.name"),
        ({"ports": [PORT | {"guest_port": 0}]}, r"ports\[0\]\.guest_port"),
        ({"ports": [PORT | {"guest_port": 65_536}]}, r"ports\[0\]\.guest_port"),
        ({"ports": [PORT | {"host_port": -1}]}, r"ports\[0\]\.host_port"),
        ({"ports": [PORT | {"host_ip": "here"}]}, r"ports\[0\]\.host_ip"),
        ({"ports": [PORT, PORT]}, "ports: must be different in name"),
        ({"ports": [PORT | {"name": n, "host_port": 80} for n in "ab"]}, "different in host_port"),
        ({"saved": SAVED | {"machine": ""}}, r"saved\.machine"),
        ({"saved": SAVED | {"hypervisor": ""}}, r"saved\.hypervisor"),
        ({"saved": SAVED | {"cpu": 0}}, r"saved\.cpu"),
        ({"saved": SAVED | {"ram_mb": 0}}, r"saved\.ram_mb"),
        ({"saved": SAVED | {"mac_address": "52:54"}}, r"saved\.mac_address"),
        ({"saved": {"cpu": 2, "ram_mb": 5}}, r"machine.*\$\.saved"),
    ],
)
def test_a_bad_field_is_refused_by_its_name(change, field):
    with pytest.raises(BadManifest, match=f"template config invalid: .*{field}"):
        config({"saved": SAVED} | change, STATE)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"name":"\xff"}', b"{}"])
def test_what_is_no_config_is_refused(content):
    with pytest.raises(BadManifest, match="template config invalid"):
        read_config(manifest(DISK), content, "a/b")
