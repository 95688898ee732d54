"""The template for the first VM: built once, pushed to our own registry."""

import asyncio
import struct
import tempfile
from pathlib import Path

import structlog

from contracts.artifacts import TemplateConfig, reference_of
from contracts.vms import PortRule
from corral.guest import CannotBuild, build_template
from corral.registry import LocalTemplate, RegistryClient, push_template, repository_of_name
from embedded.drivers import QEMU

TAG = "v1"
_DEMO = "demo-linux"
_SIMULATED = TemplateConfig(
    name="demo-simulated",
    ram_mb=128,
    description="An empty disk: its VMs are simulated, nothing boots",
    ports=(PortRule(name="ssh", guest_port=22), PortRule(name="http", guest_port=80)),
)
_log = structlog.get_logger()


class Demo:
    """Has the demo template in the registry at ``address``; ``problem`` says why it has not.

    For QEMU it is a small Linux made of the distribution's packages, else an empty disk.
    """

    def __init__(self, address: str, root_token: str, driver: str, folder: Path) -> None:
        self._address = address
        self._root_token = root_token
        self._real = driver == QEMU
        self._folder = folder
        self.template_id = repository_of_name(_DEMO if self._real else _SIMULATED.name)
        self.problem = ""

    async def start(self) -> None:
        """See Part."""
        self._folder.mkdir(parents=True, exist_ok=True)
        async with RegistryClient(self._address, root_token=self._root_token) as client:
            if await client.has_manifest(self.template_id, reference_of(TAG)):
                return
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=".demo-") as scratch:
                try:
                    local = await asyncio.to_thread(self._make, Path(scratch))
                except CannotBuild as error:
                    self.problem = str(error)
                    return
                await push_template(client, self.template_id, TAG, local)
        _log.info("demo.pushed", template=self.template_id)

    async def stop(self) -> None:
        """See Part."""

    def _make(self, scratch: Path) -> LocalTemplate:
        if self._real:
            built = build_template(scratch, cache=self._folder / "packages")
            return LocalTemplate(
                config=built.config, disks=(built.disk,), kernel=built.kernel, initrd=built.initrd
            )
        disk = scratch / "disk.qcow2"
        disk.write_bytes(_empty_disk(1 << 30))
        return LocalTemplate(config=_SIMULATED, disks=(disk,))


def _empty_disk(size: int) -> bytes:
    """A qcow2 image (version 2) of ``size`` bytes, all zero. Source: QEMU's qcow2 document."""
    cluster = 1 << 16
    l1_entries = -(-size // (cluster * (cluster // 8)))
    header = struct.pack(
        ">4sIQIIQIIQQIIQ",
        *(b"QFI\xfb", 2, 0, 0, 16, size, 0, l1_entries, 3 * cluster, cluster, 1, 0, 0),
    )
    table = struct.pack(">Q", 2 * cluster)
    counts = struct.pack(">4H", 1, 1, 1, 1)
    return b"".join(part.ljust(cluster, b"\0") for part in (header, table, counts, b""))
