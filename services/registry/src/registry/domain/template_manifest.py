"""What the manifest and the config of a template must say; errors name the field."""

import ipaddress
import re

import msgspec

from contracts.artifacts import (
    CONFIG_TYPE,
    DISK_TYPE,
    INITRD_TYPE,
    KERNEL_TYPE,
    NVRAM_TYPE,
    OUR_TYPES,
    STATE_TYPE,
    Descriptor,
    Manifest,
    SavedState,
    TemplateConfig,
)
from contracts.vms import PortRule
from registry.domain import tart
from registry.domain.artifact import NONDISTRIBUTABLE, BadManifest
from registry.domain.template import ARCHITECTURES

MAX_CONFIG = 1 << 20
"""Bytes of a template's config blob, at most."""

NETWORK_MODES = ("shared", "host", "bridge", "nat", "disconnected")
"""The documented ones."""

_MACHINE = re.compile(r"[a-z0-9][a-z0-9.-]*")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
_LONGEST_NAME = 255
_MOST_CPUS = 1024
_MOST_PIXELS = 16_384
_HIGHEST_PORT = 65_535


def read_manifest(content: bytes) -> Manifest:
    """The manifest of a template, its parts called as we call them; BadManifest."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BadManifest(f"template manifest invalid: {error}") from None
    if tart.is_image(manifest.config, manifest.layers):
        _check_image(manifest)
        manifest = tart.as_template(manifest)
    elif manifest.config.media_type != CONFIG_TYPE:
        raise BadManifest(f"config.mediaType: a template's must be {CONFIG_TYPE}")
    if manifest.config.size > MAX_CONFIG:
        raise BadManifest(f"config.size: more than {MAX_CONFIG} bytes")
    _check_layers(manifest)
    return manifest


def read_config(manifest: Manifest, content: bytes, repository: str) -> TemplateConfig:
    """The config that goes with a template's manifest; BadManifest names what is wrong in it."""
    try:
        if manifest.config.media_type == tart.CONFIG_TYPE:
            config = tart.read_config(content, repository)
        else:
            config = msgspec.json.decode(content, type=TemplateConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadManifest(f"template config invalid: {error}") from None
    _check_config(config)
    if manifest.states and config.saved is None:
        raise BadManifest(f"template config invalid: saved: goes with a layer {STATE_TYPE}")
    return config


def _check_image(manifest: Manifest) -> None:
    if manifest.artifact_type.startswith(OUR_TYPES):
        raise BadManifest(f"artifactType: {manifest.artifact_type} is none of an image of tart")
    part = tart.foreign(manifest)
    if part is not None:
        raise BadManifest(f"{part.media_type}: {part.digest} is no part of an image of tart")


def _check_layers(manifest: Manifest) -> None:
    for layer in manifest.layers:
        if layer.media_type.startswith(NONDISTRIBUTABLE):
            raise BadManifest(
                f"layers: {layer.digest} is {layer.media_type}: "
                "a template's layers must be in the registry"
            )
    if not manifest.disks:
        raise BadManifest(f"layers: a template needs a {DISK_TYPE}")
    digests = [disk.digest for disk in manifest.disks]
    if len(set(digests)) < len(digests):
        raise BadManifest(f"layers: a {DISK_TYPE} stands in the chain twice")
    for kind in (KERNEL_TYPE, INITRD_TYPE, NVRAM_TYPE):
        if len(_of(manifest, kind)) > 1:
            raise BadManifest(f"layers: more than one {kind}")
    if manifest.initrd and not manifest.kernel:
        raise BadManifest(f"layers: a {INITRD_TYPE} needs a {KERNEL_TYPE}")


def _of(manifest: Manifest, kind: str) -> list[Descriptor]:
    return [layer for layer in manifest.layers if layer.media_type == kind]


def _check_config(config: TemplateConfig) -> None:
    _need(0 < len(config.name) <= _LONGEST_NAME, "name", f"1 to {_LONGEST_NAME} characters")
    _need(config.name.isprintable(), "name", "without control characters")
    _need(config.arch in ARCHITECTURES, "arch", " or ".join(ARCHITECTURES))
    _within("cpu", config.cpu, 1, _MOST_CPUS)
    _need(config.ram_mb >= 1, "ram_mb", "at least 1")
    _need(not config.machine or _is_machine(config.machine), "machine", "the name of a machine")
    modes = ("", *NETWORK_MODES)
    _need(config.network_mode in modes, "network_mode", f"one of {', '.join(NETWORK_MODES)}")
    _within("display.width", config.display.width, 1, _MOST_PIXELS)
    _within("display.height", config.display.height, 1, _MOST_PIXELS)
    _check_ports(config.ports)
    if config.saved is not None:
        _check_saved(config.saved)


def _check_ports(rules: tuple[PortRule, ...]) -> None:
    for position, rule in enumerate(rules):
        field = f"ports[{position}]"
        _need(bool(rule.name), f"{field}.name", "set")
        _within(f"{field}.guest_port", rule.guest_port, 1, _HIGHEST_PORT)
        _within(f"{field}.host_port", rule.host_port, 0, _HIGHEST_PORT)
        _need(_is_address(rule.host_ip), f"{field}.host_ip", "an IPv4 address")
    fixed = [(rule.host_ip, rule.host_port) for rule in rules if rule.host_port]
    _need(len(set(fixed)) == len(fixed), "ports", "different in host_port")
    names = {rule.name for rule in rules}
    _need(len(names) == len(rules), "ports", "different in name")


def _check_saved(saved: SavedState) -> None:
    _need(_is_machine(saved.machine), "saved.machine", "the name of a machine")
    _need(bool(saved.hypervisor), "saved.hypervisor", "set")
    _within("saved.cpu", saved.cpu, 1, _MOST_CPUS)
    _need(saved.ram_mb >= 1, "saved.ram_mb", "at least 1")
    mac = saved.mac_address
    _need(not mac or _MAC.fullmatch(mac) is not None, "saved.mac_address", "six pairs of digits")


def _is_machine(name: str) -> bool:
    """Nothing that a hypervisor would read as an option."""
    return _MACHINE.fullmatch(name) is not None


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text or "0.0.0.0")  # noqa: S104 -- nobody binds to it
    except ValueError:
        return False
    return True


def _within(field: str, value: int, least: int, most: int) -> None:
    _need(least <= value <= most, field, f"{least} to {most}")


def _need(holds: bool, field: str, wanted: str) -> None:
    if not holds:
        raise BadManifest(f"template config invalid: {field}: must be {wanted}")
