"""The body of ``POST /api/v1/vm``, read field by field. Names are those of the public API."""

import re

import msgspec

from api_gateway.domain.fields import BadField, Fields, MissingField
from api_gateway.domain.metadata import read_metadata
from contracts.instances import MetadataValue
from contracts.vms import (
    SCRIPT_TIMEOUT,
    Disk,
    Overrides,
    PortRule,
    Script,
    ScriptCondition,
    ScriptFailHandler,
)

MAX_COUNT = 1000
MAX_PRIORITY = 10000
MAX_PORT = 65535
MAX_STORED = 64 << 20
"""Bytes that one request may cause to be stored: its size, for each instance."""

SIZE = "([1-9][0-9]{0,11})([TGMK])"
"""A pattern of the whole text; how much that is together has a limit besides."""

MAC = "[0-9A-F][02468ACE](:[0-9A-F]{2}){5}"
"""A pattern of the whole text: the address of one network card, not of many."""

VIDEO_CONTROLLERS = ("fbuf", "pg")
FORCES = ("forceOn", "forceOff")
CSR_CONFIGS = ("forceOn",)

_MAC = re.compile(MAC)
_ANY_MAC = re.compile("[0-9A-F]{2}(:[0-9A-F]{2}){5}")
_SIZE = re.compile(SIZE)
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_MAX_SIZE = 1 << 60
_CONDITIONS = (ScriptCondition.NETWORK, ScriptCondition.BOOTED)
_FAIL_HANDLERS = (ScriptFailHandler.STOP, ScriptFailHandler.KEEP, ScriptFailHandler.DELETE)


class StartRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants started; without ``tag`` and ``version`` the latest.

    ``priority`` 0 is unset. ``group`` names a permission group.
    """

    vmid: str
    tag: str | None = None
    version: int | None = None
    count: int = 1
    name: str | None = None
    external_id: str | None = None
    metadata: dict[str, MetadataValue] | None = None
    node_id: str | None = None
    group: str | None = None
    group_id: str | None = None
    priority: int = 0
    name_template: str = ""
    ttl: int | None = None
    script: Script | None = None
    overrides: Overrides = Overrides()


def read_start_request(fields: Fields, size: int) -> StartRequest:
    """The request of ``size`` bytes, or BadField naming what is wrong."""
    count = fields.integer("count", 1, MAX_COUNT, numeric_text=True) or 1
    if size * count > MAX_STORED:
        raise fields.bad("count", f"at most {MAX_STORED // size} for a request of this size")
    return StartRequest(
        vmid=fields.required_text("vmid"),
        tag=fields.text("tag"),
        version=fields.integer("version", 0, numeric_text=True),
        count=count,
        name=fields.text("name"),
        external_id=fields.text("external_id"),
        metadata=read_metadata(fields),
        node_id=fields.text("node_id"),
        group=fields.text("group"),
        group_id=fields.text("group_id"),
        priority=fields.integer("priority", 1, MAX_PRIORITY, numeric_text=True) or 0,
        name_template=fields.text("name_template") or "",
        ttl=read_ttl(fields),
        script=_script(fields),
        overrides=read_overrides(fields),
    )


def read_ttl(fields: Fields) -> int | None:
    """Seconds after Started at which an instance ends; 0 for never."""
    return fields.integer("ttl", 0, numeric_text=True)


def _script(fields: Fields) -> Script | None:
    body = fields.base64("startup_script")
    condition = fields.integer("startup_script_condition", 0, 1) or 0
    monitored = fields.flag("script_monitoring") or False
    timeout = fields.integer("script_timeout", 1)
    fail_handler = fields.integer("script_fail_handler", 0, 2) or 0
    if not body:
        return None
    return Script(
        body=body,
        condition=_CONDITIONS[condition],
        monitored=monitored,
        timeout=timeout if timeout and monitored else SCRIPT_TIMEOUT,
        fail_handler=_FAIL_HANDLERS[fail_handler],
    )


def read_overrides(fields: Fields) -> Overrides:
    """What a start changes of its template, or BadField."""
    return Overrides(
        vcpu=fields.integer("vcpu", 1),
        vram=fields.integer("vram", 1),
        mac_address=_mac_address(fields),
        vlan_tag=fields.text("vlan_tag"),
        network_mode=fields.text("network_mode"),
        network_local=fields.choice("network_local", FORCES),
        video_controller=fields.choice("video_controller", VIDEO_CONTROLLERS),
        hvapic=fields.choice("hvapic", FORCES),
        csr_active_config=fields.choice("csr_active_config", CSR_CONFIGS),
        hw_serial=fields.text("hw_serial"),
        hw_uuid=fields.text("hw_uuid"),
        port_forwarding_override=_port_rules(fields),
        disk=_disk(fields),
        vnc_password=fields.text("vnc_password"),
        usb_device=fields.text("usb_device"),
    )


def _mac_address(fields: Fields) -> str | None:
    value = fields.text("mac_address")
    if value is None:
        return None
    if not _ANY_MAC.fullmatch(value):
        raise fields.bad("mac_address", "six pairs of capital hexadecimal digits with ':' between")
    if not _MAC.fullmatch(value):
        raise fields.bad("mac_address", "the address of one network card, this is one of many")
    return value


def _port_rules(fields: Fields) -> tuple[PortRule, ...] | None:
    given = fields.objects("port_forwarding_override")
    if given is None:
        return None
    rules = tuple(_port_rule(rule) for rule in given)
    taken = [rule.host_port for rule in rules if rule.host_port]
    if len(taken) != len(set(taken)):
        raise fields.bad("port_forwarding_override", "each host_port at most once")
    return rules


def _port_rule(rule: Fields) -> PortRule:
    name = rule.required_text("name")
    guest_port = rule.integer("guest_port", 1, MAX_PORT, numeric_text=True)
    if guest_port is None:
        raise MissingField(rule.path("guest_port"))
    return PortRule(
        name=name,
        guest_port=guest_port,
        host_ip=rule.text("host_ip") or "",
        host_port=rule.integer("host_port", 1, MAX_PORT, numeric_text=True) or 0,
    )


def _disk(fields: Fields) -> Disk | None:
    disk = fields.object("disk")
    if disk is None:
        return None
    skip = disk.flag("skip_container_resize") or False
    return Disk(size=_size(disk), skip_container_resize=skip)


def _size(disk: Fields) -> int:
    text = disk.required_text("size")
    found = _SIZE.fullmatch(text)
    size = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < size <= _MAX_SIZE:
        raise BadField(disk.path("size"), "a number and one of T, G, M, K, such as 256G")
    return size
