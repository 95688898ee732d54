"""What is kept of a VM on disk, and how it is read again."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from node_agent.drivers.port import CannotHonour, HostFault, NoSpace
from node_agent.drivers.qemu import machine, process, qcow2
from node_agent.drivers.qemu.folder import CONSOLE, SPEC, VmFolder
from tests.vm_records import a_record


@pytest.mark.parametrize("name", ["plain-1", "../../etc", "a b/c", "..", "ümlaut", "a,b=c%41"])
def test_every_name_is_one_folder_and_comes_back(tmp_path: Path, name: str) -> None:
    folder = VmFolder(tmp_path, name)
    folder.save(a_record(name))
    assert folder.path.parent == tmp_path
    assert list(VmFolder.names(tmp_path)) == [name]
    assert VmFolder(tmp_path, name).load() == a_record(name)


@pytest.mark.parametrize("name", ["", "x" * 300])
def test_a_name_that_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotHonour, match="name"):
        VmFolder(tmp_path, name)


def test_passwords_are_for_the_agent_alone(tmp_path: Path) -> None:
    folder = VmFolder(tmp_path, "vm")
    folder.save(a_record())
    assert (folder.path / SPEC).stat().st_mode & 0o077 == 0
    assert not any("secret" in word for word in arguments())


def test_what_cannot_be_read_is_no_vm(tmp_path: Path) -> None:
    folder = VmFolder(tmp_path, "vm")
    folder.save(a_record())
    (folder.path / SPEC).write_text("{")
    assert folder.load() is None


def test_a_long_console_begins_anew_and_the_last_one_is_kept(tmp_path: Path) -> None:
    folder = VmFolder(tmp_path, "vm")
    folder.save(a_record())
    console = folder.path / CONSOLE
    console.write_bytes(b"x" * (4 * 1024 * 1024 + 1))
    folder.trim_console()
    assert console.stat().st_size == 0
    assert console.with_suffix(".log.1").stat().st_size > 4 * 1024 * 1024


def test_the_tail_of_a_console_is_one_line(tmp_path: Path) -> None:
    folder = VmFolder(tmp_path, "vm")
    folder.save(a_record())
    assert folder.console_tail() == ""
    (folder.path / CONSOLE).write_bytes(b"one\r\n\r\n two\xff\n")
    assert folder.console_tail() == "one | two\N{REPLACEMENT CHARACTER}"


def test_a_pid_file_that_names_another_program_names_no_vm(tmp_path: Path) -> None:
    (tmp_path / process.PID_FILE).write_text("1")
    assert process.running(tmp_path) is None
    assert process.crashed(tmp_path)


def test_arguments_carry_nothing_but_values() -> None:
    argv = arguments("evil,accel=x")
    assert argv[argv.index("-name") + 1] == "guest=evil,,accel=x"
    netdev = argv[argv.index("-netdev") + 1]
    assert netdev == "user,id=net0,hostname=evil-accel-x,hostfwd=tcp:127.0.0.1:10000-:22"


@pytest.mark.parametrize(
    ("name", "hostname"),
    [("Demo_VM.1", "demo-vm-1"), ("--", "vm"), ("x" * 80, "x" * 63), ("Größe", "gr-e")],
)
def test_a_host_name_is_lower_case_and_dashed(name: str, hostname: str) -> None:
    assert machine.hostname(name) == hostname


async def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "qemu-img"
    tool.write_text("#!/bin/sh\necho 'qemu-img: d: No space left on device' >&2\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(NoSpace):
        await qcow2.create_overlay(tmp_path / "disk", tmp_path / "base", 512)
    tool.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    with pytest.raises(HostFault, match="qemu-img: broken"):
        await qcow2.create_overlay(tmp_path / "disk", tmp_path / "base", 512)


def test_a_full_disk_fails_the_record_and_keeps_the_old_one(tmp_path: Path) -> None:
    folder = VmFolder(tmp_path, "vm")
    folder.save(a_record())
    (folder.path / f"{SPEC}.part").symlink_to("/dev/full")
    with pytest.raises(NoSpace):
        folder.save(msgspec.structs.replace(a_record(), cpu=2))
    assert folder.load() == a_record()


@pytest.mark.parametrize(
    ("accelerator", "cores", "option"),
    [
        ("tcg", 1, "tcg,thread=single,tb-size=64"),
        ("tcg", 16, "tcg,thread=multi,tb-size=64"),
        ("kvm", 1, "kvm"),
    ],
)
def test_emulated_cpus_have_threads_where_the_host_has_cores_for_them(accelerator, cores, option):
    command = arguments(accelerator=accelerator, cores=cores)
    assert command[command.index("-accel") + 1] == option


def arguments(name: str = "vm", **boot: Any) -> list[str]:
    disks = (Path("disk.qcow2"), Path("layer.qcow2"))
    given = {"accelerator": "tcg", "bind": "127.0.0.1", "disks": disks}
    return machine.arguments(a_record(name), machine.Boot(**given | boot))
