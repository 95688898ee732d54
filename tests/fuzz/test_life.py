"""Chance uses a real cloud of two simulated hosts, and a model tells what it must answer.

Nothing that was accepted is lost, lists agree with what each instance says of itself, counts agree
with lists, what was ended goes away, and no state follows another that the documentation forbids.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import seed
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chassis.bus.memory import MemoryBus
from chassis.store.mongo import MongoStore
from tests.cloud import TEMPLATE_ID, Cloud, running
from tests.fates import Fate
from tests.fuzz.effort import LIMIT, LONG, rounds, tries
from tests.fuzz.life import GONE, Model
from tests.waiting import until

T = TypeVar("T")
NODES = ("n1", "n2")
LABELS = st.sampled_from(["a", "b", "c"])
METADATA = st.dictionaries(st.sampled_from(["team", "job"]), LABELS, min_size=1)
WISHES = st.fixed_dictionaries(
    {"count": st.integers(1, 3)},
    optional={"external_id": LABELS, "name": LABELS, "metadata": METADATA, "ttl": st.just(1)},
)
WHICH = st.integers(0, 1000)


class Life(RuleBasedStateMachine):
    """Rules are calls, ``compare`` holds after each, ``rest`` waits until nothing moves."""

    cloud: Cloud
    loop: asyncio.AbstractEventLoop
    fates: dict[str, Fate]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.now: dict[str, Any] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def call(self, verb: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.run(self.cloud.call(verb, path, body, **headers))

    def ok(self, verb: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.call(verb, path, body, **headers)
        assert answer["status"] == "OK", (verb, path, body, answer)
        return answer.get("body")

    def states(self) -> dict[str, str]:
        return {i["instance_id"]: i["vm"]["instance_state"] for i in self.ok("GET", "vm")}

    def pick(self, which: int) -> str:
        ids = list(self.model.instances)
        return ids[which % len(ids)]

    # What can be asked

    @rule(wish=WISHES)
    def start(self, wish: dict[str, Any]) -> None:
        self.model.started(self.ok("POST", "vm", {"vmid": TEMPLATE_ID} | wish), wish)

    @rule(wish=WISHES, key=st.sampled_from(["k1", "k2"]))
    def start_once(self, wish: dict[str, Any], key: str) -> None:
        key = f"{id(self)}-{key}"
        answer = self.call("POST", "vm", {"vmid": TEMPLATE_ID} | wish, Idempotency_Key=key)
        known = self.model.keys.get(key)
        if known is None:
            self.model.keys[key] = (wish, answer["body"])
            self.model.started(answer["body"], wish)
        elif known[0] == wish and list(known[0]) == list(wish):
            assert answer["body"] == known[1]
        elif known[0] != wish:
            assert answer["status"] == "FAIL", answer

    @precondition(lambda self: self.model.instances)
    @rule(which=WHICH, name=LABELS, external_id=LABELS, metadata=st.none() | METADATA)
    def update(self, which: int, name: str, external_id: str, metadata: Any) -> None:
        identity = self.pick(which)
        labels = {"name": name, "external_id": external_id}
        labels |= {"metadata": metadata} if metadata else {}
        answer = self.call("PUT", f"vm?id={identity}", labels)
        if answer["status"] == "OK":
            self.model.instances[identity].relabel(labels)
        else:
            assert answer["message"] == "Not found"
            assert identity not in self.model.lasting()

    @precondition(lambda self: self.model.instances)
    @rule(which=WHICH)
    def terminate(self, which: int) -> None:
        identity = self.pick(which)
        answer = self.call("DELETE", "vm", {"id": identity})
        assert answer["status"] == "OK" or identity not in self.model.lasting(), answer
        self.model.instances[identity].ending = True

    @rule(label=LABELS)
    def terminate_all_of(self, label: str) -> None:
        ended = {one["id"] for one in self.ok("DELETE", "vm", {"external_id": label})}
        meant = {i for i, o in self.model.instances.items() if o.labels.get("external_id") == label}
        assert meant & self.model.lasting().keys() <= ended <= meant
        for identity in ended:
            self.model.instances[identity].ending = True

    @precondition(lambda self: self.model.instances)
    @rule(chosen=st.lists(WHICH, min_size=1, max_size=3))
    def terminate_these(self, chosen: list[int]) -> None:
        ids = list({self.pick(which) for which in chosen})
        outcomes = self.ok("DELETE", "vm", {"ids": [*ids, "nobody"]})
        found = {one["id"]: (one["status"], one["message"]) for one in outcomes}
        assert found.pop("nobody") == ("FAIL", "Not found")
        assert found.keys() == set(ids)
        for identity in ids:
            lasting = identity in self.model.lasting()
            assert found[identity][0] == "OK" or not lasting
            self.model.instances[identity].ending = True

    @precondition(lambda self: self.model.instances)
    @rule(which=WHICH)
    def restart(self, which: int) -> None:
        identity = self.pick(which)
        answer = self.call("POST", "rpc/vm/restart", {"instance_id": identity})
        if self.model.instances[identity].ending:
            assert answer["status"] == "FAIL", answer

    @rule(node=st.sampled_from(NODES), drain=st.booleans())
    def drain(self, node: str, drain: bool) -> None:
        self.ok("POST", "node/config", {"node_id": node, "drain_mode": drain})
        (self.model.drained.add if drain else self.model.drained.discard)(node)

    @precondition(lambda self: len(self.model.groups) < 3)
    @rule(node=st.sampled_from(NODES))
    def make_group(self, node: str) -> None:
        group = self.ok("POST", "group", {"name": f"group {len(self.model.groups)}"})
        self.ok("POST", "node/group", {"group_ids": [group["id"]], "node_ids": [node]})
        self.model.groups[group["id"]] = {node}

    @precondition(lambda self: self.model.groups)
    @rule(which=WHICH)
    def remove_group(self, which: int) -> None:
        identity = list(self.model.groups)[which % len(self.model.groups)]
        self.ok("DELETE", f"group?id={identity}")
        del self.model.groups[identity]

    @precondition(lambda self: not self.model.silent)
    @rule(node=st.sampled_from(NODES))
    def lose_a_node(self, node: str) -> None:
        self.run(self.fates[node].kill())
        self.model.silent.add(node)

    @precondition(lambda self: self.model.silent)
    @rule()
    def have_it_back(self) -> None:
        for node in self.model.silent:
            self.fates[node] = self.run(self.cloud.agent(node))
        self.model.silent.clear()

    # What must hold

    @invariant()
    def compare(self) -> None:
        listed = {item["instance_id"]: item for item in self.ok("GET", "vm")}
        assert listed.keys() <= self.model.instances.keys()
        assert self.model.lasting().keys() <= listed.keys(), "what was accepted is lost"
        for identity, one in self.model.instances.items():
            item = listed.get(identity)
            one.see(item["vm"]["instance_state"] if item else GONE)
            shown = self.run(self.cloud.show(identity))
            one.see(shown.get("instance_state", GONE))
            for found in ([item["vm"]] if item else []) + ([shown] if shown else []):
                labels = {n: found[n] for n in ("name", "external_id", "metadata") if n in found}
                assert labels == one.labels, identity
        groups = {g["id"] for g in self.ok("GET", "group")}
        assert groups == self.model.groups.keys()
        for node in self.ok("GET", "node"):
            members = {g["id"] for g in node.get("groups", ())}
            known = self.model.groups.items()
            assert members == {i for i, nodes in known if node["node_id"] in nodes}

    @invariant()
    def filters_agree(self) -> None:
        for label in ("a", "b"):
            found = {item["instance_id"] for item in self.ok("GET", f"vm?external_id={label}")}
            have = self.model.instances.items()
            assert found <= {i for i, one in have if one.labels.get("external_id") == label}
            lasting = self.model.lasting().items()
            assert found >= {i for i, one in lasting if one.labels.get("external_id") == label}

    @rule()
    def rest(self) -> None:
        """Have both nodes, and wait: then whoever is left runs, as many as there is room for."""
        self.have_it_back()
        for node in tuple(self.model.drained):
            self.drain(node, drain=False)
        for one in self.model.instances.values():
            one.ending = one.ending or one.mortal
        waiting = [i for i, one in self.model.instances.items() if one.mortal]
        if waiting:
            self.ok("DELETE", "vm", {"ids": waiting})
        self.settle()
        self.compare()
        counts = Counter(self.states().values())
        stats = self.ok("GET", "stats")
        assert stats["instances"] == counts
        assert stats["nodes"] == {"Active": len(NODES)}
        running_vms = self.cloud.live_vms()
        started = {i for i, state in self.states().items() if state == "Started"}
        assert running_vms.keys() == started
        assert all(len(vms) == 1 for vms in running_vms.values())

    def settle(self) -> None:
        """Wait until nothing moves; AssertionError tells what still does."""
        try:
            self.run(until(self._calm, 40, every=0.05))
        except AssertionError as error:
            raise AssertionError(f"it does not come to rest: {self.now}") from error

    async def _calm(self) -> bool:
        listed = (await self.cloud.call("GET", "vm"))["body"]
        states = {item["instance_id"]: item["vm"]["instance_state"] for item in listed}
        wanted = self.model.lasting().keys()
        nodes = (await self.cloud.call("GET", "node"))["body"]
        room = sum(node["capacity"] for node in nodes)
        started = sum(state == "Started" for state in states.values())
        hosts = {node["node_id"]: (node["state"], node["vm_count"]) for node in nodes}
        self.now = {"hosts": hosts, "instances": states, "wanted": sorted(wanted)}
        return (
            states.keys() == wanted
            and set(states.values()) <= {"Started", "Scheduling"}
            and all(state == "Active" for state, _ in hosts.values())
            and started == min(len(wanted), room) == sum(vms for _, vms in hosts.values())
        )

    def teardown(self) -> None:
        try:
            self.rest()
        finally:
            self.have_it_back()
            for identity in self.states():
                self.call("DELETE", "vm", {"id": identity})
            for group in self.ok("GET", "group"):
                self.ok("DELETE", f"group?id={group['id']}")
            self.run(until(self._empty, 40, every=0.05))

    async def _empty(self) -> bool:
        return (await self.cloud.call("GET", "vm"))["body"] == []


async def has_figures(cloud: Cloud) -> bool:
    """Whether the scheduler has told its figures for the first time."""
    return (await cloud.call("GET", "stats"))["status"] == "OK"


@pytest.mark.timeout(LIMIT)
async def test_a_cloud_behaves_as_documented_whatever_is_asked_of_it(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
):
    loop = asyncio.get_running_loop()
    async with running(system_bus, own_store, tmp_path) as cloud:
        await cloud.add_template()
        await cloud.scheduler(stats_seconds=0.3)
        await cloud.pusher()
        await cloud.gateway()
        fates = {node: await cloud.agent(node) for node in NODES}
        await cloud.ready(len(NODES))
        await until(lambda: has_figures(cloud))
        machine = type("Machine", (Life,), {"cloud": cloud, "loop": loop, "fates": fates})
        effort = tries(few=8, many=15, shrink=False, stateful_step_count=12)
        for number in rounds(share=0.4):
            chosen = seed(number)(machine) if LONG else machine
            await asyncio.to_thread(run_state_machine_as_test, chosen, settings=effort)
