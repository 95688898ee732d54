"""Files sent from threads: what a cancelled request may close, and when."""

import asyncio
import os
import socket
import threading

import pytest

from registry.oci import content
from tests.clock import settle
from tests.waiting import until


class Gate:
    """A transfer that goes on when it is told to, and what it then finds of its descriptors."""

    def __init__(self):
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.thread = ""
        self.found = []

    def send(self, socket, file, start, stop):
        self.thread = threading.current_thread().name
        self.begun.set()
        self.go_on.wait(10)
        self.found = [os.fstat(socket).st_ino, os.fstat(file).st_ino]
        return stop - start


@pytest.fixture
def gate(monkeypatch):
    gate = Gate()
    monkeypatch.setattr(content, "_send_slice", gate.send)
    yield gate
    gate.go_on.set()


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    yield ours
    ours.close()
    theirs.close()


async def test_a_cancelled_transfer_ends_when_no_thread_uses_its_descriptors(gate, ends, tmp_path):
    (tmp_path / "blob").write_bytes(b"content")
    with (tmp_path / "blob").open("rb") as file:
        sending = asyncio.create_task(content._sendfile(ends.fileno(), file.fileno(), 0, 7))
        await until(gate.begun.is_set)
        for _ in range(2):
            sending.cancel()
            await settle()
        assert not sending.done()
        gate.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await sending
        inodes = [os.fstat(each.fileno()).st_ino for each in (ends, file)]
    assert gate.found == inodes


async def test_transfers_have_threads_of_their_own(gate, ends, tmp_path):
    (tmp_path / "blob").write_bytes(b"content")
    gate.go_on.set()
    with (tmp_path / "blob").open("rb") as file:
        await content._sendfile(ends.fileno(), file.fileno(), 0, 7)
    assert gate.thread.startswith("blob-sender")
