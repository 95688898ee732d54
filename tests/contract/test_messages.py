"""What was once sent or stored can be read for ever: contracts only grow."""

from typing import Any

import msgspec
import pytest

from contracts.catalog import message_types
from contracts.documents import say
from contracts.messages import Order, node_key, tag_of
from tests.contract.samples import DOCUMENTS, GOLDEN, document_types, missing

MESSAGES = sorted(GOLDEN.glob("*.json"))
STORED = sorted(DOCUMENTS.glob("*.json"))


def keeps(new: Any, old: Any) -> bool:
    """Whether everything that was in ``old`` is in ``new``, unchanged."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(
            key in new and keeps(new[key], value) for key, value in old.items()
        )
    if isinstance(old, list):
        return len(new) == len(old) and all(map(keeps, new, old))
    return new == old


def test_every_message_and_document_has_an_example():
    assert not missing(), "run: python -m tests.contract.samples"


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_a_message_of_an_older_version_can_be_read(path):
    raw = path.read_bytes()
    kinds = message_types()
    assert path.stem in kinds, "a tag is never taken away"
    message = msgspec.json.decode(raw, type=kinds[path.stem])
    assert tag_of(message) == path.stem
    assert keeps(msgspec.json.decode(msgspec.json.encode(message)), msgspec.json.decode(raw))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_document_of_an_older_version_can_be_read(path):
    raw = path.read_bytes()
    kinds = document_types()
    assert path.stem in kinds, "a stored kind stays (the example of a mere view goes with it)"
    document = msgspec.json.decode(raw, type=kinds[path.stem])
    assert keeps(msgspec.json.decode(msgspec.json.encode(document)), msgspec.json.decode(raw))


@pytest.mark.parametrize(("tag", "kind"), message_types().items())
def test_a_message_with_a_field_of_tomorrow_can_be_read(tag, kind):
    known = msgspec.json.decode((GOLDEN / f"{tag}.json").read_bytes())
    message = msgspec.json.decode(msgspec.json.encode(known | {"of_tomorrow": 1}), type=kind)
    assert tag_of(message) == tag


@pytest.mark.parametrize(("tag", "kind"), message_types().items())
def test_a_message_goes_where_its_kind_says(tag, kind):
    message = msgspec.json.decode((GOLDEN / f"{tag}.json").read_bytes(), type=kind)
    said = say(message)
    wanted = node_key(message.queue) if isinstance(message, Order) else tag
    assert (said.key, said.id) == (wanted, message.id)
    assert msgspec.json.decode(said.body, type=kind) == message
