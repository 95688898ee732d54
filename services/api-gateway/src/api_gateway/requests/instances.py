"""Requests about instances."""

from typing import Annotated, Literal

import msgspec

from api_gateway.domain.bulk import MAX_IDS
from api_gateway.domain.fields import DIGITS
from api_gateway.domain.idempotency import KEY, KEY_HEADER, LONGEST_KEY
from api_gateway.domain.revision import MAX_WAIT, REVISION
from api_gateway.domain.start_request import (
    CSR_CONFIGS,
    FORCES,
    MAC,
    MAX_COUNT,
    SIZE,
    VIDEO_CONTROLLERS,
)
from api_gateway.requests.values import (
    Base64,
    Metadata,
    PageQuery,
    PerhapsById,
    Port,
    Positive,
    Priority,
    Text,
    Whole,
    entire,
    entire_or_empty,
    one_of,
)
from contracts.instances import InstanceState

_TTL = "Seconds after Started at which it ends by itself; 0 for never."
_ADDED = "Ours. "
_WAIT = "With ``id``: so many seconds for news of it."


class InstanceQuery(PageQuery, kw_only=True):
    """One instance, or filters of the list. A filter given twice means either value."""

    id: str | None = None
    state: tuple[InstanceState, ...] = ()
    node_id: tuple[str, ...] = ()
    group_id: tuple[str, ...] = ()
    vmid: tuple[str, ...] = ()
    template: Annotated[tuple[str, ...], msgspec.Meta(description="Id or name.")] = ()
    tag: tuple[str, ...] = ()
    external_id: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    metadata: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern="^[^=]+=")], ...],
        msgspec.Meta(description="``key=value``; each given must hold."),
    ] = ()
    pool: Annotated[str, msgspec.Meta(description="What this pool keeps instead.")] | None = None
    wait: (
        Annotated[
            int,
            msgspec.Meta(ge=0, le=MAX_WAIT, description=_WAIT),
        ]
        | None
    ) = None
    revision: (
        Annotated[
            str,
            msgspec.Meta(
                pattern=entire_or_empty(REVISION),
                description="With ``wait``: ``X-Corral-Revision`` of what the caller knows.",
            ),
        ]
        | None
    ) = None


class PortRuleRequest(msgspec.Struct, kw_only=True):
    """A forwarded port; without ``host_port`` the next free one."""

    name: Text
    guest_port: Port | Annotated[str, msgspec.Meta(pattern=entire(DIGITS))]
    host_ip: str | None = None
    host_port: Port | Annotated[str, msgspec.Meta(pattern=entire_or_empty(DIGITS))] | None = None


class DiskRequest(msgspec.Struct, kw_only=True):
    """A larger disk."""

    size: Annotated[str, msgspec.Meta(pattern=entire(SIZE), examples=["256G"])]
    skip_container_resize: bool | None = None


class OverridesRequest(msgspec.Struct, kw_only=True):
    """What a start changes of its template; ``vram`` in MiB."""

    vcpu: Positive | None = None
    vram: Positive | None = None
    mac_address: Annotated[str, msgspec.Meta(pattern=entire_or_empty(MAC))] | None = None
    vlan_tag: str | None = None
    network_mode: str | None = None
    network_local: Annotated[str, one_of(FORCES)] | None = None
    video_controller: Annotated[str, one_of(VIDEO_CONTROLLERS)] | None = None
    hvapic: Annotated[str, one_of(FORCES)] | None = None
    csr_active_config: Annotated[str, one_of(CSR_CONFIGS)] | None = None
    hw_serial: str | None = None
    hw_uuid: str | None = None
    port_forwarding_override: (
        Annotated[
            tuple[PortRuleRequest, ...],
            msgspec.Meta(description="Instead of the template's; each host_port at most once."),
        ]
        | None
    ) = None
    disk: DiskRequest | None = None
    vnc_password: str | None = None
    usb_device: str | None = None


class StartBody(OverridesRequest, kw_only=True):
    """Without ``tag`` and ``version`` the latest. ``group`` names a permission group."""

    vmid: Text
    tag: str | None = None
    version: Whole | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_COUNT)] | None = None
    name: str | None = None
    name_template: str | None = None
    external_id: str | None = None
    metadata: Metadata | None = None
    node_id: str | None = None
    group_id: str | None = None
    group: str | None = None
    priority: Priority | None = None
    ttl: Annotated[Whole, msgspec.Meta(description=_ADDED + _TTL)] | None = None
    startup_script: Base64 | None = None
    startup_script_condition: (
        Annotated[Literal[0, 1], msgspec.Meta(description="0: network is there, 1: booted.")] | None
    ) = None
    script_monitoring: bool | None = None
    script_timeout: (
        Annotated[Positive, msgspec.Meta(description="Seconds, 90; of a monitored script.")] | None
    ) = None
    script_fail_handler: (
        Annotated[
            Literal[0, 1, 2],
            msgspec.Meta(description="Of a monitored script: 0 stops the VM, 1 keeps, 2 deletes."),
        ]
        | None
    ) = None


class StartHeaders(msgspec.Struct, kw_only=True):
    """A repeat with the same key and body within a day gets the same ids."""

    idempotency_key: (
        Annotated[str, msgspec.Meta(max_length=LONGEST_KEY, pattern=entire(KEY))] | None
    ) = msgspec.field(name=KEY_HEADER, default=None)
    traceparent: str | None = None


class InstanceChanges(msgspec.Struct, kw_only=True):
    """What is not given stays."""

    name: str | None = None
    external_id: str | None = None
    metadata: Metadata | None = None
    ttl: Annotated[Whole, msgspec.Meta(description=_ADDED + _TTL)] | None = None


class Termination(msgspec.Struct, kw_only=True):
    """``id`` ends one. Ours: ``ids``, or everything that has all that is given of the rest."""

    id: str | None = None
    ids: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=MAX_IDS)] | None = None
    external_id: Text | None = None
    group_id: Text | None = None
    metadata: Annotated[Metadata, msgspec.Meta(min_length=1)] | None = None


class TerminationQuery(PerhapsById, kw_only=True):
    """The instance, where the body does not name it."""


class Restart(msgspec.Struct, kw_only=True):
    """One of the two ids; perhaps with another device or password (ours)."""

    instance_id: str | None = None
    id: str | None = None
    usb_device: str | None = None
    vnc_password: str | None = None
