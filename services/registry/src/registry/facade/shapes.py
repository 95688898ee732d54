"""The public JSON of the façade: key order, quirks and all."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from contracts.artifacts import Manifest, TemplateConfig
from contracts.templates import TemplateDocument, Version
from registry.list_store import ListedTemplate

_CONFIG_SCHEMA = 3
_GIB = 1024


def listed(template: ListedTemplate) -> dict[str, Any]:
    """An entry of the v2 list."""
    return {
        "id": template.id,
        "name": template.name,
        "size": template.size,
        "arch": template.arch,
        "last_pull": _epoch(template.last_pull),
        "last_push": _epoch(template.last_push),
    }


def shown_v1(template: TemplateDocument) -> dict[str, Any]:
    """A template with its versions, as v1 answers."""
    return {
        "id": template.id,
        "name": template.name,
        "versions": [_version_v1(template, version) for version in template.versions],
        "size": template.size,
        "arch": template.arch,
    }


def shown(template: TemplateDocument) -> dict[str, Any]:
    """A template with its versions, as v2 answers."""
    return {
        "id": template.id,
        "name": template.name,
        "versions": [_version(template, version) for version in template.versions],
        "size": template.size,
        "arch": template.arch,
        "last_pull": _epoch(template.last_pull),
        "last_push": _epoch(template.last_push),
    }


def configuration(
    template: TemplateDocument, version: Version, manifest: Manifest, config: TemplateConfig
) -> dict[str, Any]:
    """The configuration of the VMs of one version."""
    rules = [
        {
            "rule_name": rule.name,
            "protocol": "tcp",
            "guest_port": rule.guest_port,
            "host_port": rule.host_port,
            "host_ip": rule.host_ip,
        }
        for rule in config.ports
    ]
    drives = [
        {"controller": "virtio-blk", "pci_slot": position, "file": disk.digest}
        for position, disk in enumerate(manifest.disks[-1:])
    ]
    screen = config.display
    frame = {
        "width": screen.width,
        "height": screen.height,
        "pci_slot": 0,
        "vnc_ip": "",
        "password": "",
    }
    card = {
        "mode": config.network_mode or "shared",
        "pci_slot": 0,
        "mac_address": "",
        "port_forwarding_rules": rules,
    }
    return {
        "name": config.name,
        "uuid": template.id,
        "version": _CONFIG_SCHEMA,
        "cpu": {"cores": config.cpu},
        "ram": _ram(config.ram_mb),
        "hard_drives": drives,
        "network_cards": [card],
        "display": {"frame_buffer": frame},
        "usb": {},
        "firmware": {"type": "kernel" if manifest.kernel else "bios"},
        "state_file": _state(version),
        "nvram": version.nvram,
    }


def removed(versions: Sequence[Version]) -> dict[str, Any]:
    """What a revert takes away, oldest first (an addition of ours)."""
    return {"removed": [{"number": v.number, "tag": v.tag} for v in versions]}


def _version_v1(template: TemplateDocument, version: Version) -> dict[str, Any]:
    return {
        "number": version.number,
        "tag": version.tag,
        "config_file": f"{template.id}.yaml",
        "nvram": version.nvram,
        "images": version.images,
        "state_files": version.state_files,
        "description": version.description,
        "state_file": _state(version),
        "size": version.size,
        "arch": "",
    }


def _version(template: TemplateDocument, version: Version) -> dict[str, Any]:
    return _version_v1(template, version) | {
        "last_pull": _epoch(version.last_pull),
        "last_push": _epoch(version.last_push),
        "creation_date": _epoch(version.created),
    }


def _state(version: Version) -> str:
    return version.state_files[-1] if version.state_files else ""


def _epoch(moment: datetime | None) -> int:
    """Whole seconds; 0 for never."""
    return 0 if moment is None else int(moment.timestamp())


def _ram(mebibytes: int) -> str:
    """The short spelling: ``2G`` where it is whole, else ``1536M``."""
    return f"{mebibytes // _GIB}G" if mebibytes % _GIB == 0 else f"{mebibytes}M"
