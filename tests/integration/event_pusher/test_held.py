"""An event-pusher sends nothing while it may have been succeeded."""

from chassis.clock import SystemClock
from contracts.webhooks import EndpointDocument, EndpointSpec, EndpointStatus
from event_pusher.addresses import Addresses
from event_pusher.courier import Courier, Pace
from event_pusher.domain.condition import Limits
from event_pusher.domain.endpoint import Endpoint
from event_pusher.domain.wire import pack
from event_pusher.event_log import EventLog
from event_pusher.post import Post
from event_pusher.reader import LogReader
from event_pusher.sender import Sender
from event_pusher.store import ENDPOINTS, EndpointStore, EventStore
from tests.waiting import until


def wished(receiver, generation, pings):
    spec = EndpointSpec(url=receiver.url, pings=pings)
    return Endpoint(id="w1", generation=generation, spec=spec)


async def test_no_test_is_sent_while_the_lease_may_be_gone(own_store, receiver):
    held, clock, events = [], SystemClock(), EventStore(own_store)
    await own_store.insert(ENDPOINTS, [EndpointDocument(id="w1", status=EndpointStatus(cursor=0))])
    reader = LogReader(EventLog(events, None), events, lambda document: pack(document, "m"))
    addresses = Addresses(())
    pace = Pace(window=10, pauses=(), limits=Limits(), held=lambda: bool(held))
    courier = Courier(
        wished(receiver, 1, 1),
        reader,
        EndpointStore(own_store, 1),
        Post(Sender(addresses, 5.0, clock, guarded=False), clock),
        pace=pace,
        clock=clock,
    )
    await courier.start()
    try:
        await until(courier._pinging.done)
        assert receiver.requests == []
        held.append(True)
        courier.apply(wished(receiver, 2, 2))
        await until(lambda: len(receiver.requests) == 2)
    finally:
        await courier.stop()
        await addresses.stop()
