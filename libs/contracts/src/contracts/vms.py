"""Scheduler and node agent about virtual machines."""

from datetime import datetime
from enum import StrEnum

import msgspec

from contracts.messages import Fact, Order, Report
from contracts.templates import TemplateRef


class PortForward(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One forwarded port of a running VM."""

    name: str
    guest_port: int
    host_port: int
    protocol: str = "tcp"


class VmInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A VM as its host sees it. ``status`` is the hypervisor's word, ``running`` when up.

    ``ip`` stays empty until the guest really has an address. ``ram_mb`` is in MiB.
    """

    uuid: str
    name: str
    status: str
    node_id: str = ""
    host_ip: str = ""
    ip: str = ""
    cpu_cores: int = 0
    ram_mb: int = 0
    vnc_port: int = 0
    vnc_password: str = ""
    mac_address: str = ""
    port_forwarding: tuple[PortForward, ...] = ()
    creation_date: datetime | None = None
    access_date: datetime | None = None
    start_date: datetime | None = None
    stop_date: datetime | None = None
    timestamp: datetime | None = None


class ScriptResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a script in the guest did. ``return_code`` is -1 when it timed out."""

    return_code: int
    did_timeout: bool = False
    stdout: str = ""
    stderr: str = ""
    errors: tuple[str, ...] = ()


class ScriptCondition(StrEnum):
    """When the startup script may begin."""

    NETWORK = "network"
    BOOTED = "booted"


class ScriptFailHandler(StrEnum):
    """What happens to the VM on the node when a monitored script failed."""

    STOP = "stop"
    KEEP = "keep"
    DELETE = "delete"


SCRIPT_TIMEOUT = 90
"""Seconds a startup script has when nobody says otherwise (API page)."""


class Script(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A startup script: bytes for ``sh`` on standard input. ``timeout`` in seconds.

    Unless ``monitored``, its result is not reported and its failure changes nothing; Started waits
    for it as long, and then it runs on.
    """

    body: bytes
    condition: ScriptCondition = ScriptCondition.NETWORK
    monitored: bool = False
    timeout: int = SCRIPT_TIMEOUT
    fail_handler: ScriptFailHandler = ScriptFailHandler.STOP


class PortRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A wished port forwarding. ``host_port`` 0: the next free one from 10000 on."""

    name: str
    guest_port: int
    host_ip: str = ""
    host_port: int = 0


class Disk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Wished disk size in bytes."""

    size: int
    skip_container_resize: bool = False


class Overrides(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a start changes of its template. Unset fields keep the template's value.

    ``vram`` is in MiB. ``port_forwarding`` replaces all rules of the template.
    Field names are those of the public API.
    """

    vcpu: int | None = None
    vram: int | None = None
    mac_address: str | None = None
    vlan_tag: str | None = None
    network_mode: str | None = None
    network_local: str | None = None
    video_controller: str | None = None
    hvapic: str | None = None
    csr_active_config: str | None = None
    hw_serial: str | None = None
    hw_uuid: str | None = None
    port_forwarding_override: tuple[PortRule, ...] | None = None
    disk: Disk | None = None
    vnc_password: str | None = None
    usb_device: str | None = None


class RunVm(Order, frozen=True, kw_only=True, tag="vm.run.v1"):
    """Have this VM running. Known (instance, attempt) or older: nothing is begun anew.

    An agent whose report is not confirmed by ``valid_until`` deletes the clone; each confirmed
    heartbeat that lists the attempt moves that moment to ``at`` plus ``validity`` seconds.
    ``request_id`` is of the request that made the instance, for logs, ``trace`` its traceparent.
    """

    instance_id: str
    valid_until: datetime
    validity: float
    cloud_id: str
    registry: str
    template: TemplateRef
    name_template: str = ""
    script: Script | None = None
    overrides: Overrides = Overrides()
    request_id: str = ""
    trace: str = ""


class StopVm(Order, frozen=True, kw_only=True, tag="vm.stop.v1"):
    """Have no VM for this instance up to this attempt; answered with VmGone, always.

    Leaves a tombstone (deadline + 10 min): a RunVm at or below the attempt answers VmGone.
    """

    instance_id: str


class RebootVm(Order, frozen=True, kw_only=True, tag="vm.reboot.v1"):
    """Stop by force and start again. ``number`` counts the wished restarts of the instance.

    Password and device replace those of the VM, if given.
    """

    instance_id: str
    number: int
    vnc_password: str | None = None
    usb_device: str | None = None


class VmPhase(StrEnum):
    """Where the agent stands with an attempt; finer than any public state."""

    QUEUED = "queued"
    PULLING = "pulling"
    PREPARING = "preparing"
    RUNNING = "running"
    SAVING = "saving"
    STOPPED = "stopped"
    FAILED = "failed"
    STOPPING = "stopping"
    GONE = "gone"


class VmReport(Report, frozen=True, kw_only=True):
    """Said about one attempt of one instance."""

    instance_id: str
    attempt: int
    epoch: int = 0


class VmProgress(VmReport, frozen=True, kw_only=True, tag="vm.progress.v1"):
    """The attempt moved on; ``progress`` 0..1 while pulling."""

    phase: VmPhase
    progress: float = 0.0


class StartTimes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Seconds that the parts of a start took, by the agent's clock; 0 for what it did not need.

    ``preparing`` is waiting for a worker and cloning, ``boot`` lasts until there is an address.
    """

    pulling: float = 0.0
    preparing: float = 0.0
    boot: float = 0.0
    script: float = 0.0


class VmStarted(VmReport, frozen=True, kw_only=True, tag="vm.started.v1"):
    """The VM runs and its startup script, if monitored, has succeeded."""

    info: VmInfo
    script_result: ScriptResult | None = None
    took: StartTimes = StartTimes()


class VmFailed(VmReport, frozen=True, kw_only=True, tag="vm.failed.v1"):
    """The attempt ended without a usable VM.

    ``final``: another node would fail as well. ``vm_left``: a VM is still on the node
    (kept or stopped after a failed script), so capacity stays held until StopVm.
    ``logs``: what was left in the registry about it, as paths below ``files/logs/``.
    """

    message: str
    final: bool = False
    vm_left: bool = False
    info: VmInfo | None = None
    script_result: ScriptResult | None = None
    logs: tuple[str, ...] = ()


class VmRestarted(VmReport, frozen=True, kw_only=True, tag="vm.restarted.v1"):
    """RebootVm ``number`` was done, or failed with ``error``."""

    number: int
    info: VmInfo | None = None
    error: str = ""


class VmGone(VmReport, frozen=True, kw_only=True, tag="vm.gone.v1"):
    """No VM of this instance up to this attempt is left on the node, nor will one come."""


class VmRefused(VmReport, frozen=True, kw_only=True, tag="vm.refused.v1"):
    """An order was older than what the journal knows of this instance."""

    known_attempt: int
    known_epoch: int


class VmState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a heartbeat: an attempt the agent knows.

    ``info`` is left out while it has not changed since the last confirmed heartbeat
    (its ``timestamp`` aside), but is in every twelfth. ``restarts``: the last RebootVm done.
    ``saving``: the PushImage request that is being carried out.
    """

    instance_id: str
    attempt: int
    phase: VmPhase
    epoch: int = 0
    progress: float = 0.0
    restarts: int = 0
    info: VmInfo | None = None
    saving: str = ""


class UnknownVm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A VM on the host that the journal does not know.

    With our prefix and a label, ``instance_id``, ``attempt`` and ``cloud_id`` say whose it was.
    """

    name: str
    status: str = ""
    cpu_cores: int = 0
    ram_mb: int = 0
    cloud_id: str = ""
    instance_id: str = ""
    attempt: int = 0


class ReportsMarked(Fact, frozen=True, kw_only=True, tag="reports.marked.v1"):
    """The scheduler's mark in its own report queue: all that was confirmed before is heard."""

    mark: str
