"""The public instance: flat for one, wrapped in lists.

Inside, empty fields are omitted and never null (but ``anka_registry``, ``vlan`` and the other
required ones of ``Vm``); in the wrapper ``external_id`` and ``name`` are null when unset.
"""

from datetime import datetime
from typing import Annotated

import msgspec

from api_gateway.public.scalars import SCHEMAS, Moment, architecture, date, number, ram
from contracts.instances import (
    Attempt,
    InstanceSpec,
    InstanceState,
    InstanceStatus,
    MetadataValue,
    Reason,
    awaits_script,
    expiry,
)
from contracts.vms import PortForward, Script, ScriptResult, VmInfo


class PortForwarding(msgspec.Struct, frozen=True, kw_only=True):
    """A forwarded port, in the newest of the documented spellings."""

    guest_port: int
    host_port: int
    protocol: str
    name: str


class StartupScript(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of a monitored startup script."""

    return_code: int
    did_timeout: bool
    stdout: str
    stderr: str
    errors: tuple[str, ...] = ()


class Vminfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The VM itself; strings may be empty but are there, dates may be the zero date."""

    uuid: str
    name: str
    status: str
    version: str
    creation_date: Moment
    access_date: Moment
    start_date: Moment
    stop_date: Moment
    cpu_cores: int
    ram: str
    node_id: str
    host_ip: str
    ip: str
    vnc_port: int
    timestamp: Moment
    vnc_connection_string: str = ""
    vnc_password: str = ""
    port_forwarding: tuple[PortForwarding, ...] = ()


class PublicReason(msgspec.Struct, frozen=True, kw_only=True):
    """Why an instance waits (an addition of ours)."""

    filter: str
    message: str
    nodes: int


class PublicAttempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try on one node (an addition of ours)."""

    number: int
    node_id: str
    placed: Moment
    failure: str = ""


class Vm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The flat instance object.

    Ours are ``failure_logs`` (URLs of files in the registry), ``ttl`` (seconds), ``expires_at``
    and ``pool``, which keeps it while nobody has. ``cr_time`` of what came from a pool is when it
    was asked for.
    """

    instance_id: str
    instance_state: InstanceState
    anka_registry: str
    vmid: str
    ts: Moment
    cr_time: Moment
    progress: int | float
    vlan: str
    message: str = ""
    tag: str = ""
    version: int | None = None
    vminfo: Vminfo | None = None
    node_id: str = ""
    inflight_reqid: str = ""
    group_id: str = ""
    name: str = ""
    external_id: str = ""
    metadata: dict[str, MetadataValue] | None = None
    mac_address: str = ""
    arch: str = ""
    usb_device: str = ""
    startup_script: StartupScript | None = None
    reasons: tuple[PublicReason, ...] = ()
    attempts: tuple[PublicAttempt, ...] = ()
    failure_logs: tuple[str, ...] = ()
    ttl: int = 0
    expires_at: Moment | None = None
    pool: str = ""


class Wrapper(msgspec.Struct, frozen=True, kw_only=True):
    """An element of the list."""

    instance_id: str
    external_id: str | None
    name: str | None
    vm: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"$ref": f"{SCHEMAS}Vm"})]


_encode = msgspec.json.Encoder().encode


def state_of(spec: InstanceSpec, status: InstanceStatus) -> InstanceState:
    """The public state: a wish to terminate shows at once, until it came true.

    What was claimed from a pool is Started when its startup script is over, as after any start.
    """
    if spec.terminate and status.state is not InstanceState.TERMINATED:
        return InstanceState.TERMINATING
    return InstanceState.SCHEDULING if awaits_script(spec, status) else status.state


def mac_address(status: InstanceStatus) -> str:
    """What was handed out, else what the hypervisor has chosen."""
    return status.mac_address or (status.vminfo.mac_address if status.vminfo else "")


def flat(instance_id: str, created: datetime, spec: InstanceSpec, status: InstanceStatus) -> bytes:
    """The instance as ``?id=`` answers it."""
    overrides = spec.overrides
    state = state_of(spec, status)
    waits = state is InstanceState.SCHEDULING
    info = None if awaits_script(spec, status) else status.vminfo
    return _encode(
        Vm(
            instance_id=instance_id,
            instance_state=state,
            anka_registry=spec.registry,
            vmid=spec.template.id,
            ts=status.changed,
            cr_time=spec.claimed or created,
            progress=number(status.progress),
            vlan=overrides.vlan_tag or "",
            message="" if waits else status.message,
            tag=spec.template.tag,
            version=spec.wanted_version,
            vminfo=vminfo(info, status.node_id) if info else None,
            node_id=status.node_id,
            inflight_reqid=spec.start_request_id,
            group_id=spec.group_id or "",
            name=spec.name or "",
            external_id=spec.external_id or "",
            metadata=spec.metadata or None,
            mac_address=mac_address(status) or overrides.mac_address or "",
            arch=architecture(spec.template.arch),
            usb_device=overrides.usb_device or "",
            startup_script=_script_result(spec.script, status.script_result),
            reasons=tuple(map(_reason, status.reasons)) if waits else (),
            attempts=tuple(map(_attempt, status.attempts)),
            failure_logs=tuple(
                f"{spec.registry}/files/logs/{path}" for path in status.failure_logs
            ),
            ttl=spec.ttl,
            expires_at=expiry(created, spec, status),
            pool=spec.pool_id or "",
        )
    )


def wrapped(instance_id: str, spec: InstanceSpec, vm: bytes) -> bytes:
    """The instance as lists show it, around its flat form."""
    return _encode(
        Wrapper(
            instance_id=instance_id,
            external_id=spec.external_id or None,
            name=spec.name or None,
            vm=msgspec.Raw(vm),
        )
    )


def vminfo(info: VmInfo, node_id: str) -> Vminfo:
    """The complete object: clients read it unchecked as soon as the state is Started."""
    host = f"{info.host_ip}:{info.vnc_port}"
    return Vminfo(
        uuid=info.uuid,
        name=info.name,
        status=info.status,
        version="",
        creation_date=date(info.creation_date),
        access_date=date(info.access_date),
        start_date=date(info.start_date),
        stop_date=date(info.stop_date),
        cpu_cores=info.cpu_cores,
        ram=ram(info.ram_mb),
        node_id=info.node_id or node_id,
        host_ip=info.host_ip,
        ip=info.ip,
        vnc_port=info.vnc_port,
        timestamp=date(info.timestamp),
        vnc_connection_string=f"vnc://:{info.vnc_password}@{host}" if info.vnc_port else "",
        vnc_password=info.vnc_password,
        port_forwarding=tuple(map(_port, info.port_forwarding)),
    )


def _port(rule: PortForward) -> PortForwarding:
    return PortForwarding(
        guest_port=rule.guest_port,
        host_port=rule.host_port,
        protocol=rule.protocol,
        name=rule.name,
    )


def _script_result(script: Script | None, result: ScriptResult | None) -> StartupScript | None:
    if script is None or not script.monitored or result is None:
        return None
    return StartupScript(
        return_code=result.return_code,
        did_timeout=result.did_timeout,
        stdout=result.stdout,
        stderr=result.stderr,
        errors=result.errors,
    )


def _reason(reason: Reason) -> PublicReason:
    return PublicReason(filter=reason.filter, message=reason.message, nodes=reason.nodes)


def _attempt(attempt: Attempt) -> PublicAttempt:
    return PublicAttempt(
        number=attempt.number,
        node_id=attempt.node_id,
        placed=attempt.placed,
        failure=attempt.failure,
    )
