"""What a simulated VM looks like as an image: one disk of its own, and a word for its memory."""

import struct
from pathlib import Path

from contracts.artifacts import (
    DISK_TYPE,
    STATE_TYPE,
    Descriptor,
    SavedState,
    TemplateConfig,
    digest_of,
)
from contracts.vms import PortRule
from node_agent.drivers.port import SavedImage
from node_agent.drivers.simulated_guest import SUSPENDED
from node_agent.drivers.simulated_host import SimulatedVm

HYPERVISOR = "simulated"
_HEADER = struct.Struct(">4sIQIIQ")
_HEADER_BYTES = 104
_MAGIC, _VERSION, _CLUSTER_BITS = b"QFI\xfb", 3, 16
_SIZE = 1 << 30


def image_of(vm: SimulatedVm, arch: str) -> SavedImage:
    """The image of a VM that does not run: the same until it runs again."""
    info = vm.info
    ran = f"{info.uuid} after {vm.boots} boots"
    header = _HEADER.pack(_MAGIC, _VERSION, 0, 0, _CLUSTER_BITS, _SIZE).ljust(_HEADER_BYTES, b"\0")
    contents = [(DISK_TYPE, header + f"simulated disk of {ran}\n".encode())]
    saved = None
    if info.status == SUSPENDED:
        contents.append((STATE_TYPE, f"simulated memory of {ran}\n".encode()))
        saved = SavedState(
            machine=HYPERVISOR,
            hypervisor=HYPERVISOR,
            cpu=info.cpu_cores,
            ram_mb=info.ram_mb,
            mac_address=info.mac_address,
            vnc=bool(info.vnc_password),
        )
    files: dict[str, Path | bytes] = {digest_of(content): content for _, content in contents}
    return SavedImage(
        config=TemplateConfig(
            name=info.name,
            arch=arch,
            cpu=info.cpu_cores,
            ram_mb=info.ram_mb,
            ports=tuple(
                PortRule(name=forward.name, guest_port=forward.guest_port)
                for forward in info.port_forwarding
            ),
            saved=saved,
        ),
        layers=tuple(
            Descriptor(media_type=kind, digest=digest_of(content), size=len(content))
            for kind, content in contents
        ),
        files=files,
        repository=vm.repository,
    )
