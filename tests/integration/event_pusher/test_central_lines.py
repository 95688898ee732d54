"""Events in the registry's central logs."""

import json

from tests.integration.registry.guarded import guarded
from tests.pushing import a_pusher, many, publish, settings_for
from tests.tap import ROOT_TOKEN, root
from tests.waiting import until


async def test_a_registry_that_asks_who_calls_gets_the_events_as_well(
    memory_bus, own_store, tmp_path
):
    async with guarded(own_store, tmp_path / "registry") as door:

        async def sequences():
            answer = await root(door)("GET", "/log/file?service=Event")
            lines = answer.raw.decode().splitlines()[1:] if answer.code == 200 else []
            return [json.loads(line)["sequence"] for line in lines]

        settings = settings_for(
            central_logging=True, registry_address=door.address, root_token=ROOT_TOKEN
        )
        async with a_pusher(settings, memory_bus, own_store):
            await publish(memory_bus, many(3))

            async def shipped():
                return await sequences() == [1, 2, 3]

            await until(shipped)
