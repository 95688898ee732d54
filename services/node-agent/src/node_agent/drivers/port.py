"""What a hypervisor must do for the agent. Drivers know VmSpec and VmInfo, nothing of messages.

DriverError
├── VmMissing      no VM of that name
├── CannotHonour   an override or verb that this hypervisor or template does not support: final
├── NoSpace        the disk is full, and nothing unused is left to remove: try elsewhere
└── HostFault      this host failed (process died, time limit, port taken): try elsewhere
    └── SourceDown the registry did not answer, or broke off: a little later it may
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

from contracts.artifacts import Descriptor, TemplateConfig
from contracts.nodes import CachedTemplate, HypervisorVersion, NodeUsage, UsbDevice
from contracts.templates import TemplateRef
from contracts.vms import Overrides, ScriptResult, VmInfo

STATE_SECONDS = 300.0
"""Within which a driver has written the memory of a VM, or has read it back."""


class DriverError(Exception):
    """The hypervisor could not do it; the text is shown to the user."""


class VmMissing(DriverError):
    """No VM of that name."""


class CannotHonour(DriverError):
    """Something asked for that this hypervisor or template cannot do, anywhere."""


class NoSpace(DriverError):
    """rejecting due to lack of disk space"""


class HostFault(DriverError):
    """This host could not do it; another may."""


class SourceDown(HostFault):
    """The registry did not answer, or broke off"""


class Capability(StrEnum):
    """What a driver can do beyond running a VM. Overrides are named as in the public API."""

    SUSPEND = "suspend"
    COMMIT = "commit"
    VCPU = "vcpu"
    VRAM = "vram"
    DISK = "disk"
    MAC_ADDRESS = "mac_address"
    PORT_FORWARDING = "port_forwarding_override"
    NETWORK_MODE = "network_mode"
    VNC_PASSWORD = "vnc_password"  # noqa: S105 -- the name of an override
    VLAN_TAG = "vlan_tag"
    NETWORK_LOCAL = "network_local"
    USB_DEVICE = "usb_device"
    INTEL_ONLY = "video_controller"


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The host as the driver sees it. ``ram_gb`` GiB, ``disk_size`` bytes."""

    arch: str
    cpu_count: int
    ram_gb: int
    disk_size: int
    hypervisor: HypervisorVersion
    license_valid: bool = True
    usb_devices: tuple[UsbDevice, ...] = ()
    vlans: tuple[str, ...] = ()


class VmSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A VM to be made. ``name`` is unique on the host and how every other verb names it.

    The labels are kept with the VM where the hypervisor can, and come back from ``list_vms``.
    """

    name: str
    template: TemplateRef
    overrides: Overrides = Overrides()
    cloud_id: str = ""
    instance_id: str = ""
    attempt: int = 0


class ListedVm(msgspec.Struct, frozen=True, kw_only=True):
    """A VM that the hypervisor has, with its labels as far as they are kept."""

    info: VmInfo
    cloud_id: str = ""
    instance_id: str = ""
    attempt: int = 0


class SavedImage(msgspec.Struct, frozen=True, kw_only=True):
    """A VM as an image: what a manifest is made of, and where the content is.

    ``layers`` in the manifest's order; ``files`` has the content of each by digest. ``repository``
    is that of the template which the VM was made of: what is not new may be there already.
    """

    config: TemplateConfig
    layers: tuple[Descriptor, ...]
    files: Mapping[str, Path | bytes]
    repository: str = ""


class ImageSource(Protocol):
    """Where a template's manifest and blobs come from (the registry, or a neighbour)."""

    address: str

    async def manifest(self, repository: str, reference: str) -> bytes:
        """The manifest's bytes, digest verified when ``reference`` is one."""
        ...

    def blob(self, repository: str, digest: str, offset: int = 0) -> AsyncIterator[bytes]:
        """A blob's bytes from ``offset`` on; not verified."""
        ...


class Shelf(Protocol):
    """What a host has of templates, for its neighbours."""

    def blob(self, digest: str) -> Path | None:
        """The file of a whole, verified blob."""
        ...

    def manifest(self, digest: str) -> bytes | None:
        """A manifest as it was pulled."""
        ...


NO_CHANGES = Overrides()

Progress = Callable[[float], None]
"""Told the share 0..1 of a pull that is done."""


class VmDriver(Protocol):
    """One hypervisor on one host. Every verb is bounded in time and safe to cancel.

    After a verb raised or was cancelled, ``delete`` of the same name cleans up what is left.
    """

    name: str
    capabilities: frozenset[Capability]

    @property
    def shelf(self) -> Shelf | None:
        """What neighbours may have; None where images are not kept as blobs."""
        ...

    async def facts(self) -> HostFacts:
        """The host; cheap enough for every heartbeat."""
        ...

    async def usage(self) -> NodeUsage:
        """What moves: utilisation, free disk, disk used by the hypervisor's files."""
        ...

    async def templates(self) -> Sequence[CachedTemplate]:
        """What is in the cache, least recently used first."""
        ...

    async def missing_bytes(self, template: TemplateRef, source: ImageSource) -> int:
        """How much a pull would download; 0 when the tag is cached."""
        ...

    async def pull(self, template: TemplateRef, source: ImageSource, progress: Progress) -> None:
        """Have the tag in the cache: missing blobs only, verified, resumed where it broke off."""
        ...

    async def evict(self, template: CachedTemplate | None) -> None:
        """Drop a tag from the cache, and what nothing needs any more; None: only the latter.

        HostFault when a VM uses the tag. What ``missing_bytes`` was last asked for is needed.
        """
        ...

    async def clone(self, spec: VmSpec) -> None:
        """Make a stopped VM of a cached tag. CannotHonour names the override."""
        ...

    async def start(self, name: str) -> VmInfo:
        """Boot it, or have it go on where it was suspended or where a ``save`` broke off.

        Returns when the guest answers, ``ip`` perhaps still empty.
        """
        ...

    async def info(self, name: str) -> VmInfo:
        """The VM now; VmMissing when there is none."""
        ...

    async def run_script(
        self, name: str, script: bytes, timeout: float, *, kill: bool = True
    ) -> ScriptResult:
        """Pipe to ``sh`` in the guest; on time-out everything the script began is killed.

        Without ``kill`` it runs on then, unwatched. The result says ``did_timeout`` either way.
        """
        ...

    async def restart(self, name: str, changes: Overrides = NO_CHANGES) -> VmInfo:
        """Stop by force and start again: same disk, ports and MAC, new ``start_date``.

        ``changes``: a new ``vnc_password`` or ``usb_device``. What cannot be had fails first.
        """
        ...

    async def stop(self, name: str) -> None:
        """Power off; the VM and its disk stay."""
        ...

    async def save(self, name: str, *, suspend: bool, test: bool = False) -> SavedImage:
        """Suspend or stop it, and make an image of it; once more, it goes on where it was.

        ``test``: see first that a suspended guest can be woken up. The VM stays suspended or
        stopped, and ``start`` has it run again, also after an error.
        """
        ...

    async def delete(self, name: str) -> None:
        """No process, port, file or MAC of the VM is left; fine when there was none."""
        ...

    async def logs(self, name: str) -> Mapping[str, bytes]:
        """What explains the VM's end, by file name; some MiB at most, nothing of no VM."""
        ...

    async def list_vms(self) -> Sequence[ListedVm]:
        """Every VM the hypervisor has, ours or not."""
        ...
