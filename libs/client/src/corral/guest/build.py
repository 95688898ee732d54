"""Puts the demo guest together."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from contracts.artifacts import TemplateConfig
from contracts.vms import PortRule
from corral.guest import disk, initrd, packages, rootfs
from corral.guest.programs import CannotBuild

FILES = Path(__file__).parent / "files"
CONFIG = TemplateConfig(
    name="demo-linux",
    arch="amd64",
    cpu=1,
    ram_mb=128,
    description="Busybox Linux: ssh (user corral, password corral) and a web page",
    ports=(PortRule(name="ssh", guest_port=22), PortRule(name="http", guest_port=80)),
    cmdline="console=tty0 console=ttyS0 quiet",
)
OWNERS = {"home/corral": 1000}


@dataclass(frozen=True)
class BuiltTemplate:
    """The files of a template, and what goes into its config blob."""

    disk: Path
    kernel: Path
    initrd: Path
    config: TemplateConfig


def build_template(output: Path, *, cache: Path | None = None) -> BuiltTemplate:
    """Build the demo guest into the folder ``output``.

    The packages are kept in ``cache`` and not fetched again while they are there.
    Raises CannotBuild.
    """
    output.mkdir(parents=True, exist_ok=True)
    built = BuiltTemplate(
        disk=output / "disk.qcow2",
        kernel=output / "vmlinuz",
        initrd=output / "initrd.img",
        config=CONFIG,
    )
    try:
        with tempfile.TemporaryDirectory(dir=output, prefix=".build-") as scratch:
            _build(built, Path(scratch), cache)
    except OSError as error:
        raise CannotBuild(f"cannot write the demo guest: {error}") from error
    return built


def _build(built: BuiltTemplate, scratch: Path, cache: Path | None) -> None:
    unpacked, root = scratch / "packages", scratch / "root"
    packages.unpack(packages.fetch(cache or scratch / "debs"), unpacked)
    built.kernel.write_bytes(initrd.kernel(unpacked).read_bytes())
    built.initrd.write_bytes(initrd.build(unpacked, FILES / "initrd/init"))
    rootfs.populate(root, unpacked, FILES / "rootfs")
    disk.build(root, built.disk, OWNERS)
