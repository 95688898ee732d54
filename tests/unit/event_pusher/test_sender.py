"""POSTs over raw sockets: what receivers answer, and how connections are reused."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from event_pusher.addresses import Addresses
from event_pusher.connection import MOST_BODY
from event_pusher.sender import Sender
from tests.clock import ManualClock
from tests.ports import free_port
from tests.waiting import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers the requests of each connection from a list; ``None`` closes it instead."""

    def __init__(self, answers):
        self.answers = answers
        self.requests = []
        self.connections = 0
        self.closed = 0

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(size))
                answer = self.answers.pop(0)
                if answer is None:
                    return
                writer.write(answer)
                if b"Connection: close" in answer:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.closed += 1
            writer.close()


@asynccontextmanager
async def answering(*answers, timeout=5.0):
    server = Server(list(answers))
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    addresses = Addresses(())
    sender = Sender(addresses, timeout, ManualClock(), guarded=False)
    try:
        yield server, sender, f"http://127.0.0.1:{port}/events?a=b%20c"
    finally:
        sender.close()
        await addresses.stop()
        listener.close()
        await until(lambda: server.closed == server.connections)


async def test_a_post_is_well_formed():
    async with answering(OK) as (server, sender, url):
        outcome = await sender.send(url, b"{}", {"webhook-id": "e1"})
        assert outcome.arrived
        assert server.requests == [
            b"POST /events?a=b%20c HTTP/1.1\r\n"
            b"Host: 127.0.0.1:" + str(URL(url).port).encode() + b"\r\n"
            b"User-Agent: corral-event-pusher\r\n"
            b"Content-Type: application/json\r\n"
            b"webhook-id: e1\r\n"
            b"Content-Length: 2\r\n\r\n{}"
        ]


async def test_credentials_in_the_url_are_basic_authentication():
    async with answering(OK) as (server, sender, url):
        await sender.send(str(URL(url).with_user("ci").with_password("p:w")), b"{}", {})
        assert b"Authorization: Basic Y2k6cDp3\r\n" in server.requests[0]
        assert b"ci:" not in server.requests[0]


async def test_a_connection_is_kept_and_used_again():
    async with answering(OK, OK, OK) as (server, sender, url):
        for _ in range(3):
            assert (await sender.send(url, b"{}", {})).arrived
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n",
    ],
)
async def test_every_form_of_success_is_understood_and_the_next_post_works(answer):
    async with answering(answer, OK) as (_, sender, url):
        assert (await sender.send(url, b"{}", {})).arrived
        assert (await sender.send(url, b"{}", {})).arrived


async def test_an_endless_answer_counts_by_its_status_and_ends_the_connection():
    size = MOST_BODY * 3
    long = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    async with answering(long, OK) as (server, sender, url):
        assert (await sender.send(url, b"{}", {})).arrived
        assert (await sender.send(url, b"{}", {})).arrived
        assert server.connections == 2


async def test_a_connection_closed_while_idle_costs_no_delivery():
    async with answering(OK, None, OK) as (server, sender, url):
        assert (await sender.send(url, b"{}", {})).arrived
        assert (await sender.send(url, b"{}", {})).arrived
        assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "closed by the receiver"),
        (b"no HTTP at all\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nCon", "closed by the receiver"),
    ],
)
async def test_what_is_no_answer_is_a_failure(answer, told):
    answer = answer + b"Connection: close" if answer == b"HTTP/1.1 200 OK\r\nCon" else answer
    async with answering(answer) as (_, sender, url):
        outcome = await sender.send(url, b"{}", {})
        assert (outcome.arrived, outcome.status) == (False, 0)
        assert outcome.error.startswith(told)


async def test_retry_after_is_told_in_seconds():
    answer = b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n"
    async with answering(answer) as (_, sender, url):
        outcome = await sender.send(url, b"{}", {})
        assert (outcome.arrived, outcome.status, outcome.wish) == (False, 503, 7.0)


async def test_nobody_there_is_a_failure():
    async with answering() as (_, sender, _url):
        outcome = await sender.send(f"http://127.0.0.1:{free_port()}/events", b"{}", {})
    assert not outcome.arrived
    assert outcome.error == "Connection refused"


async def test_silence_ends_at_the_time_limit():
    async with answering(b"", timeout=0.05) as (_, sender, url):
        outcome = await sender.send(url, b"{}", {})
        assert outcome.error == "no answer within 0.05 s"


async def test_plain_text_behind_https_is_a_failure():
    async with answering(timeout=1.0) as (_, sender, url):
        assert not (await sender.send(url.replace("http:", "https:"), b"{}", {})).arrived
