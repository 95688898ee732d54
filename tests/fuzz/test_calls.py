"""Calls that the description allows, and calls that it does not, to a cloud as a user runs it.

Whatever is asked: never an internal error, never a word about what is inside, and every answer is
one that the description has.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import given, seed
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation, BaseSchema

from tests.all_in_one import AllInOne, all_in_one
from tests.fuzz.effort import LIMIT, LONG, rounds, tries
from tests.fuzz.narrowing import narrowed
from tests.fuzz.world import World
from tests.tap import ROOT_TOKEN

ENDLESS = "text/event-stream"
INSIDE = re.compile(
    r"traceback|\.py\b|site-packages|<class|object at 0x"
    r"|\b(pymongo|mongo\w*|motor|amqp\w*|rabbit\w*|bson|errno)\b"
    r"|\b(?!base64\.)\w+(?<!CorruptInput)(Error|Exception)\b",
    re.IGNORECASE,
)
CROSS_FIELD = re.compile(
    r"required field is missing|one of event_id, failed|count or in_use, or limit or last"
    r"|each host_port at most once|the name of a time zone|a cursor as a list gave it"
    r"|an RSA key of 2048 bits|for a request of this size|kinds of event, not"
)
"""Refusals of what single fields allow: rules that JSON Schema does not say."""

GUARDED = {
    "enable_auth": True,
    "root_token": ROOT_TOKEN,
    "enable_api_keys": True,
    "enable_controller_authorization": True,
    "enable_resource_management": True,
}
"""So that the calls about access are there as well; all are made as root."""

CHECKED = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AllInOne]:
    """Everything in one process, with simulated VMs and keys."""
    folder = tmp_path_factory.mktemp("fuzzed") / "data"
    async with all_in_one(folder, driver="simulated", max_vm_count=20, **GUARDED) as cloud:
        await cloud.start()
        yield cloud


@pytest.fixture(scope="module")
def world(cloud: AllInOne) -> World:
    return World(cloud.address, ROOT_TOKEN)


@pytest.fixture(scope="module")
def described(world: World) -> BaseSchema:
    load_all_checks()
    document = world.http.get(f"{world.address}/openapi.json", timeout=30).json()
    described = schemathesis.openapi.from_dict(narrowed(document))
    described.config.update(base_url=world.address)
    return described


class Fuzz:
    """Makes calls and holds the answers against the rules."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.codes: Counter[int] = Counter()
        self.calls = 0
        self.failures: list[str] = []
        self._said: set[str] = set()
        """Words inside that chance has spelt itself, and may hear again."""

    def round(self, described: BaseSchema, number: int) -> None:
        """A few calls of each operation, as described and otherwise."""
        for operation in finite(described):
            self.world.refresh()
            self.try_out(operation, GenerationMode.POSITIVE, number)
            if takes_anything(operation):
                self.try_out(operation, GenerationMode.NEGATIVE, number)

    def try_out(self, operation: APIOperation, mode: GenerationMode, number: int) -> None:
        cases = operation.as_strategy(generation_mode=mode)

        @tries(few=4, many=25)
        @given(cases, st.integers(0, 2**32))
        def run(case: Case, chance: int) -> None:
            self._call(case, random.Random(chance), described=mode is GenerationMode.POSITIVE)

        if LONG:
            run = seed(number)(run)
        try:
            run()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # there is nothing to be wrong with
        except (Exception, FailureGroup) as error:
            told = getattr(error, "exceptions", (error,))
            self.failures += [f"{operation.label}: {one}" for one in told]

    def _call(self, case: Case, chance: random.Random, *, described: bool) -> None:
        path = case.operation.path
        for place in (case.query, case.body):
            self.world.put_in(path, place, chance)
        if chance.random() < 0.2:
            case.headers["Accept"] = "application/problem+json"
        response = case.call(session=self.world.http, timeout=30)
        self.calls += 1
        self.codes[response.status_code] += 1
        self._hold(case, response, described)

    def _hold(self, case: Case, response: Response, described: bool) -> None:
        text, where = response.content.decode(errors="replace"), case.as_curl_command()
        assert response.status_code < 500, f"{where}: {text}"
        if case.operation.tags and not {"Description", "Logs"} & set(case.operation.tags):
            self._said |= words_inside(where) | words_inside(unquote(where))
            told = words_inside(text) - self._said
            assert not told, f"{where}: tells {told}: {text[:2000]}"
        if described and response.status_code == 400:
            assert CROSS_FIELD.search(text), f"{where}: {text}"
        case.validate_response(response, checks=list(CHECKS.get_by_names(CHECKED)))


def words_inside(text: str) -> set[str]:
    """Words that only somebody inside would say."""
    return {found.group().lower() for found in INSIDE.finditer(text)}


def takes_anything(operation: APIOperation) -> bool:
    """Whether anything that is given can be wrong."""
    said = operation.definition.raw
    return "requestBody" in said or bool(said["parameters"])


def finite(described: BaseSchema) -> Iterator[APIOperation]:
    """Every operation, but for those whose answers have no end."""
    for found in described.get_all_operations():
        operation = found.ok()
        answer = operation.definition.raw["responses"]["200"]
        if ENDLESS not in answer.get("content", {}):
            yield operation


@pytest.mark.timeout(LIMIT)
async def test_whatever_is_asked_is_answered_as_described(
    cloud: AllInOne, world: World, described: BaseSchema
):
    fuzz = Fuzz(world)
    for number in rounds(share=0.6):
        await asyncio.to_thread(fuzz.round, described, number)
    print(f"\n{fuzz.calls} calls: {dict(fuzz.codes)}")
    assert cloud.pid is not None, cloud.output
    assert await asyncio.to_thread(world.is_ready)
    assert "request.failed" not in cloud.output
    assert "Traceback" not in cloud.output
    assert not fuzz.failures, "\n\n".join(dict.fromkeys(fuzz.failures))
