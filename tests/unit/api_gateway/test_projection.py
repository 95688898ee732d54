import json
from datetime import timedelta

from api_gateway.domain.paging import Page
from api_gateway.domain.selection import NodeSelection
from api_gateway.projection import Projection
from contracts.groups import GroupDocument
from contracts.templates import TemplateDocument
from tests.clock import ManualClock
from tests.unit.api_gateway.documents import (
    EPOCH,
    instance_spec,
    instance_status,
    node_spec,
    node_status,
)

EVERY_NODE = NodeSelection(lambda _: ())


def view() -> Projection:
    return Projection(ManualClock())


def vm(projection: Projection, identity: str = "i") -> dict:
    entry = projection.instances.get(identity)
    assert entry is not None
    return json.loads(projection.instances.flat(entry))


def test_wish_and_world_move_separately_in_any_order():
    projection = view()
    instances = projection.instances
    started = instance_status(state="Started")
    instances.merge("i", EPOCH, (1, instance_spec()), (3, started))
    instances.merge("i", EPOCH, (2, instance_spec(name="new")), (1, instance_status()))
    assert (vm(projection)["instance_state"], vm(projection)["name"]) == ("Started", "new")
    instances.merge("i", EPOCH, (1, instance_spec(name="old")), (2, instance_status()))
    assert (vm(projection)["instance_state"], vm(projection)["name"]) == ("Started", "new")


def test_a_change_shows_in_the_next_list():
    projection = view()
    instances = projection.instances
    instances.merge("i", EPOCH, (1, instance_spec()), (0, instance_status()))
    before = instances.listed()
    assert instances.listed() is before
    assert instances.merge_spec("i", 2, instance_spec(terminate=True))
    (item,) = instances.listed().items
    assert json.loads(item)["vm"]["instance_state"] == "Terminating"


def test_a_removed_instance_does_not_come_back_while_late_messages_may_name_it():
    clock = ManualClock()
    instances = Projection(clock).instances
    arguments = ("i", EPOCH, (1, instance_spec()), (0, instance_status()))
    instances.merge(*arguments)
    instances.remove("i")
    instances.merge(*arguments)
    assert instances.get("i") is None
    assert instances.listed().items == []


async def test_tombstones_leave_after_ten_minutes():
    clock = ManualClock()
    instances = Projection(clock).instances
    instances.remove("i")
    await clock.advance(601)
    instances.remove("j")
    assert "i" not in instances.removed
    assert "j" in instances.removed


def test_a_wish_for_an_unknown_instance_asks_for_the_document():
    instances = view().instances
    assert not instances.merge_spec("i", 2, instance_spec())
    instances.remove("i")
    assert instances.merge_spec("i", 2, instance_spec())


def test_a_node_that_joins_again_replaces_its_old_self():
    projection = view()
    nodes = projection.nodes
    nodes.merge("n", EPOCH, (5, node_spec(name="old")), (9, node_status()))
    later = EPOCH + timedelta(hours=1)
    nodes.merge("n", later, (1, node_spec()), (1, node_status()))
    nodes.merge("n", EPOCH, (6, node_spec(name="late")), (10, node_status()))
    entry = nodes.get("n")
    assert entry is not None
    assert json.loads(nodes.encoded(entry))["node_name"] == "mini-01"
    nodes.remove("n")
    nodes.merge("n", later, (1, node_spec()), (2, node_status()))
    assert nodes.get("n") is None
    nodes.merge("n", later + timedelta(hours=1), (1, node_spec()), (1, node_status()))
    assert nodes.get("n") is not None


def test_a_node_wished_gone_is_gone():
    nodes = view().nodes
    nodes.merge("n", EPOCH, (1, node_spec()), (1, node_status()))
    nodes.merge_spec("n", 2, node_spec(remove=True))
    assert nodes.get("n") is None
    assert nodes.listed(EVERY_NODE, Page()).items == []


def test_a_renamed_group_shows_at_its_nodes():
    projection = view()
    nodes = projection.nodes
    nodes.merge("n", EPOCH, (1, node_spec(groups=("g",))), (1, node_status()))
    for name in ("ios", "mac"):
        projection.groups.replace([GroupDocument(id="g", name=name)])
        (item,) = nodes.listed(EVERY_NODE, Page()).items
        assert json.loads(item)["groups"][0]["name"] == name


def test_a_late_template_message_does_not_undo_a_removal():
    templates = view().templates
    old = TemplateDocument(id="t", revision=3, name="base", repository="t", arch="amd64")
    templates.merge(old)
    templates.remove("t", 3)
    templates.merge(old)
    assert templates.by_id == {}
    templates.stored(old)
    assert "t" in templates.by_id


def test_a_node_shows_the_vms_that_run_on_it_and_no_longer():
    projection = view()
    projection.nodes.merge("n", EPOCH, (1, node_spec()), (1, node_status()))
    running = instance_status(live=True, was_started=True, node_id="n")
    stopped = instance_status(live=False, was_started=True, node_id="n")

    def shown() -> int:
        entry = projection.nodes.get("n")
        assert entry is not None
        return json.loads(projection.nodes.encoded(entry))["vm_count"]

    for revision, (status, count) in enumerate([(running, 1), (stopped, 0), (running, 1)]):
        projection.instances.merge("i", EPOCH, (1, instance_spec()), (revision, status))
        assert shown() == count
    projection.instances.remove("i")
    assert shown() == 0
