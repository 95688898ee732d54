"""That the replayer follows an instance to its end, and says so when there is none."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from chassis.web import WebServer, json_response
from tests.golden.examples import Example, Follow
from tests.golden.replay import Replayer

ORDER = ("Scheduling", "Pulling", "Started")
FOLLOWED = Example(
    name="followed",
    call="GET /api/v1/vm",
    follow=Follow(path="body.instance_state", order=ORDER),
)


class Controller:
    """Shows an instance in each of ``states``, one per call, and then in the last for ever."""

    def __init__(self) -> None:
        self.states: list[str] = []
        app = web.Application()
        app.router.add_get("/api/v1/vm", self._shown)
        self.server = WebServer(app, "127.0.0.1", 0)

    async def _shown(self, _request: web.Request) -> web.Response:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return json_response({"status": "OK", "message": "", "body": {"instance_state": state}})


@pytest.fixture
async def controller() -> AsyncIterator[Controller]:
    controller = Controller()
    await controller.server.start()
    yield controller
    await controller.server.stop()


async def faults(controller: Controller, *states: str, limit: float) -> tuple[str, ...]:
    controller.states = list(states)
    replayer = Replayer({"controller": controller.server.address}, {}, limit=limit)
    (outcome,) = await replayer.replay([FOLLOWED])
    return outcome.faults


async def test_an_instance_is_followed_until_it_is_in_its_last_state(controller):
    assert await faults(controller, "Scheduling", "Started", limit=10) == ()


async def test_an_instance_that_never_gets_there_is_a_fault(controller):
    assert await faults(controller, "Scheduling", "Pulling", limit=0.2) == (
        "states: end: ['Scheduling', 'Pulling'] does not reach Started",
    )


async def test_states_in_another_order_are_a_fault(controller):
    assert await faults(controller, "Pulling", "Scheduling", "Started", limit=10) == (
        "states: order: ['Pulling', 'Scheduling', 'Started']",
    )
