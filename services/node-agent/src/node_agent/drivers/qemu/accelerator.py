"""Which accelerator guests run with. A device node for KVM proves nothing: only a boot does."""

import asyncio
import contextlib
import os
import platform
from enum import StrEnum
from pathlib import Path

import msgspec
import structlog

from node_agent.drivers.qemu.machine import probe_arguments

DEVICE = Path("/dev/kvm")
PROBE_SECONDS = 10.0
_SIGN_OF_LIFE = b"Linux version"
_log = structlog.get_logger()


class Accelerator(StrEnum):
    """What is wished: a fixed one, or ``auto`` for KVM where a probe has booted with it."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


class _Verdict(msgspec.Struct, frozen=True):
    """A probe's outcome; it holds as long as host kernel and QEMU stay the same."""

    kernel: str
    qemu: str
    accelerator: str


class AcceleratorChoice:
    """Chooses once, at the first start of a VM, and keeps the verdict in ``file``."""

    def __init__(self, wish: Accelerator, file: Path, device: Path = DEVICE) -> None:
        self._wish = wish
        self._file = file
        self._device = device
        self._turn = asyncio.Lock()

    async def choose(self, qemu_version: str, kernel: Path | None) -> str:
        """``kvm`` or ``tcg``; ``kernel`` is booted if a probe is due, without one TCG it is."""
        if self._wish is not Accelerator.AUTO:
            return self._wish.value
        if not os.access(self._device, os.R_OK | os.W_OK):
            return Accelerator.TCG.value
        async with self._turn:
            if known := self._known(qemu_version):
                return known
            if kernel is None:
                return Accelerator.TCG.value
            works = await boots(Accelerator.KVM, kernel, PROBE_SECONDS)
            verdict = (Accelerator.KVM if works else Accelerator.TCG).value
            _log.info("qemu.probed", accelerator=verdict, device=str(self._device))
            found = _Verdict(platform.release(), qemu_version, verdict)
            self._file.write_bytes(msgspec.json.encode(found))
            return verdict

    def _known(self, qemu_version: str) -> str | None:
        try:
            verdict = msgspec.json.decode(self._file.read_bytes(), type=_Verdict)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        same = (verdict.kernel, verdict.qemu) == (platform.release(), qemu_version)
        return verdict.accelerator if same else None


async def boots(accelerator: Accelerator, kernel: Path, limit: float) -> bool:
    """Whether ``kernel`` says a word on the serial console within ``limit`` seconds."""
    process = await asyncio.create_subprocess_exec(
        *probe_arguments(accelerator.value, kernel),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(limit):
            while piece := await process.stdout.read(4096):
                said += piece
                if _SIGN_OF_LIFE in said:
                    return True
    except TimeoutError:
        return False
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # What is left in the pipe must be read, or its end is never seen.
        await process.communicate()
    return False
