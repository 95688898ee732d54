"""The JSON that receivers get."""

import json
from datetime import UTC, datetime

from contracts.events import EventDocument, EventHappened, EventKind, EventType
from event_pusher.domain.wire import pack

AT = datetime(2020, 10, 6, 17, 1, 39, 750_000, tzinfo=UTC)


def a_document(**given):
    values = {
        "id": "e1",
        "kind": EventKind.START_VM,
        "event_type": EventType.API,
        "sub_type": "vmAction",
        "subject": "i1",
        "at": AT,
    }
    return EventDocument(id="e1", sequence=7, event=EventHappened(**values | given))


def plain(document, machine):
    return pack(document, machine).plain


def test_a_start_has_the_documented_keys_and_ours_in_alphabetical_order():
    fields = {
        "instance_id": "i1",
        "group_id": None,
        "node_id": None,
        "priority": 0,
        "tag": "base:port-forward-22",
        "template_id": "t1",
    }
    assert plain(a_document(fields=fields), "host.local") == (
        b'{"actor":"","group_id":null,"id":"e1","instance_id":"i1","machineName":"host.local",'
        b'"name":"StartVM","node_id":null,"priority":0,"request_id":"","sequence":7,'
        b'"sub_type":"vmAction","tag":"base:port-forward-22","template_id":"t1",'
        b'"time":1602003699,"type":"apiAction"}'
    )


def test_time_is_in_whole_epoch_seconds():
    assert json.loads(plain(a_document(), "m"))["time"] == 1602003699


def test_the_machine_of_the_event_wins_over_that_of_the_pusher():
    assert json.loads(plain(a_document(machine="c2"), "m"))["machineName"] == "c2"


def test_who_did_it_is_told():
    wire = json.loads(plain(a_document(actor="ci", request_id="r1"), "m"))
    assert (wire["actor"], wire["request_id"]) == ("ci", "r1")


def test_a_field_of_the_kind_never_replaces_a_common_key():
    wire = json.loads(plain(a_document(fields={"name": "mini-01", "node": "n1"}), "m"))
    assert (wire["name"], wire["node"]) == ("StartVM", "n1")
