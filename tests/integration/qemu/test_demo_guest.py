"""The demo guest is built from packages alone, by anybody, and says what it lacks."""

import os
import subprocess
from pathlib import Path

import pytest

from corral.guest import CannotBuild, cpio, disk, packages, programs
from tests.images import demo_guest


def test_the_built_template_names_its_files_and_ports() -> None:
    built = demo_guest()
    assert built.disk.read_bytes().startswith(b"QFI\xfb")
    assert built.kernel.stat().st_size > 5_000_000
    assert built.initrd.read_bytes().startswith(b"070701")
    assert [rule.guest_port for rule in built.config.ports] == [22, 80]


def test_files_belong_to_root_whoever_built_them(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "home/corral").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/a b").symlink_to("passwd")
    if os.geteuid() == 0:
        for path in root.rglob("*"):
            os.lchown(path, 65534, 65534)
    image = tmp_path / "disk.qcow2"
    disk.build(root, image, {"home/corral": 1000})
    raw = tmp_path / "check.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
    assert _owner(raw, "/etc/passwd") == "0"
    assert _owner(raw, "/etc/a b") == "0"
    assert _owner(raw, "/home/corral") == "1000"


def test_a_missing_program_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(programs, "_ADMIN_FOLDERS", "/nowhere")
    with pytest.raises(
        CannotBuild, match="qemu-img is missing; remedy: apt-get install qemu-utils"
    ):
        programs.program("qemu-img")


def test_libraries_follow_from_the_index_and_not_from_their_names() -> None:
    graph = {
        "busybox-static": [],
        "qemu-guest-agent": ["libc6", "libglib2.0-0t64", "init-system-helpers"],
        "e2fsprogs": ["libext2fs2t64", "logsave"],
        "dropbear-bin": ["zlib1g"],
        "libglib2.0-0t64": ["libffi8"],
        "init-system-helpers": ["perl-base", "libfile-find-rule-perl"],
        "linux-image-virtual": ["linux-image-6.8.0-1-generic"],
        "linux-image-6.8.0-1-generic": ["linux-modules-6.8.0-1-generic", "kmod"],
    }
    found = packages._closure(graph)
    assert found == [
        "busybox-static",
        "dropbear-bin",
        "e2fsprogs",
        "libc6",
        "libext2fs2t64",
        "libffi8",
        "libglib2.0-0t64",
        "linux-image-6.8.0-1-generic",
        "linux-modules-6.8.0-1-generic",
        "qemu-guest-agent",
        "zlib1g",
    ]


def test_packages_once_fetched_are_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_1_amd64.deb").write_bytes(b"")
    (tmp_path / "packages.json").write_text('["a_1_amd64.deb"]')
    monkeypatch.setenv("PATH", "/nowhere")
    assert packages.fetch(tmp_path) == [tmp_path / "a_1_amd64.deb"]


def test_an_archive_can_be_unpacked_by_the_program_of_that_name(tmp_path: Path) -> None:
    archive = cpio.Cpio()
    archive.folder("bin")
    archive.file("bin/tool", b"#!/bin/sh\n", 0o755)
    archive.file("odd", b"12345")
    content = archive.finished()
    busybox = tmp_path / "busybox"
    packages.unpack([_busybox_package()], tmp_path)
    busybox = next(tmp_path.rglob("bin/busybox"))
    target = tmp_path / "out"
    target.mkdir()
    subprocess.run([busybox, "cpio", "-i"], cwd=target, input=content, check=True)
    assert (target / "bin/tool").stat().st_mode & 0o777 == 0o755
    assert (target / "odd").read_bytes() == b"12345"


def _busybox_package() -> Path:
    from tests.images import PACKAGES

    demo_guest()
    return next(PACKAGES.glob("busybox-static_*.deb"))


def _owner(raw: Path, path: str) -> str:
    debugfs = programs.program("debugfs")
    said = subprocess.run(
        [debugfs, "-R", f'stat "{path}"', raw], capture_output=True, text=True, check=True
    ).stdout
    words = said.split()
    return words[words.index("User:") + 1]
