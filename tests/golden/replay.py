"""Replays every example of the API page at a running cloud.

``python -m tests.golden.replay http://127.0.0.1:8090`` says what was not as documented. Examples
that need more than the cloud has are left out: those of access need ``--guarded-url``, a gateway
with resource permissions, and ``--token``; ``--registry-url`` names a registry that is guarded
alike. ``--set NAME=VALUE`` names what an example cannot find: ``template`` and ``node`` instead
of the first of each, ``scratch``, a template with four tags that may be deleted, ``slow_node``,
where pulls never end, ``spare_node``, which may be removed.
"""

import argparse
import asyncio
import base64
import json
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import aiohttp
import msgspec

from tests.golden.deviations import Excuses
from tests.golden.examples import Example, Follow, examples
from tests.golden.shapes import (
    Difference,
    Missing,
    differences,
    expected,
    filled,
    narrowed,
)
from tests.json_paths import values_at
from tests.tap import public_text, rsa_key

_LIMIT, _EVERY = 60.0, 0.05
_NAMES_OF_WHERE = {"guarded": "guarded-url", "registry": "registry-url"}


class Outcome(msgspec.Struct, kw_only=True):
    """What became of an example. ``left_out``: what it lacked."""

    example: Example
    faults: tuple[str, ...] = ()
    left_out: str = ""


class Replayer:
    """``urls`` by where an example is sent; ``names`` fill placeholders and win over captures.

    An answer that is waited for must be there within ``limit`` seconds.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        names: Mapping[str, str],
        token: str = "",
        limit: float = _LIMIT,
    ) -> None:
        self._urls = urls
        self._given = dict(names)
        self._names = {
            "any": uuid.uuid4().hex[:8],
            "public_key": public_text(rsa_key()),
        } | self._given
        self._token = token
        self._limit = limit
        self._excuses = Excuses()

    async def replay(self, wanted: Iterable[Example]) -> list[Outcome]:
        """Each in order, whatever became of those before it."""
        headers = {"Authorization": _basic(self._token)} if self._token else {}
        limit = aiohttp.ClientTimeout(total=_LIMIT)
        async with aiohttp.ClientSession(headers=headers, timeout=limit) as http:
            return [await self._one(http, example) for example in wanted]

    def unneeded(self, outcomes: list[Outcome]) -> list[str]:
        """Deviations that nothing needed."""
        return self._excuses.unneeded({o.example.name for o in outcomes if not o.left_out})

    async def _one(self, http: aiohttp.ClientSession, example: Example) -> Outcome:
        if example.at not in self._urls:
            return Outcome(example=example, left_out=f"--{_NAMES_OF_WHERE[example.at]}")
        try:
            found = await self._until(http, example)
        except Missing as error:
            return Outcome(example=example, left_out=str(error))
        except aiohttp.ClientError as error:
            return Outcome(example=example, faults=(f"no answer: {error!r}",))
        return Outcome(example=example, faults=tuple(map(str, found)))

    async def _until(self, http: aiohttp.ClientSession, example: Example) -> list[Difference]:
        end = time.monotonic() + self._limit
        seen: list[str] = []
        while True:
            status, answer = await self._ask(http, example)
            found = self._compare(example, status, answer)
            done = not found
            if example.follow:
                _note(seen, example.follow, answer)
                done = seen[-1] == example.follow.order[-1]
            waits = example.repeat or example.follow
            if done or not waits or time.monotonic() > end:
                if example.follow:
                    found += _strayed(seen, example.follow.order)
                return found
            await asyncio.sleep(_EVERY)

    async def _ask(self, http: aiohttp.ClientSession, example: Example) -> tuple[int, Any]:
        verb, path = filled(example.call, self._names).split()
        given: dict[str, Any] = {"params": filled(example.query, self._names)}
        if example.body is not msgspec.UNSET:
            given["data"] = json.dumps(filled(example.body, self._names)).encode()
        given["headers"] = filled(example.headers, self._names)
        async with http.request(verb, self._urls[example.at] + path, **given) as answer:
            raw = await answer.read()
            if answer.content_type == "application/json":
                return answer.status, json.loads(raw)
            return answer.status, raw.decode()

    def _compare(self, example: Example, status: int, answer: Any) -> list[Difference]:
        for path, wanted in filled(example.only, self._names).items():
            answer = narrowed(answer, path, wanted)
        for name, path in example.capture.items():
            for value in list(values_at(answer, path))[:1]:
                self._names[name] = self._given.get(name, value)
        found = []
        if status != example.status:
            detail = f"{status} is not {example.status}"
            found.append(Difference(path="HTTP", kind="status", detail=detail))
        if example.answer is not msgspec.UNSET:
            found += differences(expected(example.answer, self._names), answer)
        found += [
            Difference(path=path, kind="present", detail=f"{value!r} should be left out")
            for path in filled(list(example.omitted), self._names)
            for value in values_at(answer, path)
        ]
        return self._excuses.unexcused(example, found)


def _basic(token: str) -> str:
    return "Basic " + base64.b64encode(f"root:{token}".encode()).decode()


def _note(seen: list[str], follow: Follow, answer: Any) -> None:
    state = next(values_at(answer, follow.path), answer["message"])
    if seen[-1:] != [state]:
        seen.append(state)


def _strayed(seen: list[str], order: tuple[str, ...]) -> Iterator[Difference]:
    if not _in_order(seen, order):
        yield Difference(path="states", kind="order", detail=str(seen))
    if seen[-1:] != [order[-1]]:
        yield Difference(path="states", kind="end", detail=f"{seen} does not reach {order[-1]}")


def _in_order(seen: list[str], order: tuple[str, ...]) -> bool:
    rest = iter(order)
    return all(state in rest for state in seen)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Replay the examples of the API page.")
    parser.add_argument("base_url")
    parser.add_argument("--guarded-url", default="")
    parser.add_argument("--registry-url", default="")
    parser.add_argument("--token", default="")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    return parser.parse_args()


def main() -> int:
    """Replay and report; 1 when something was not as documented."""
    given = _arguments()
    urls = {
        "controller": given.base_url,
        "guarded": given.guarded_url,
        "registry": given.registry_url,
    }
    names = dict(pair.split("=", 1) for pair in given.set)
    replayer = Replayer({where: url for where, url in urls.items() if url}, names, given.token)
    outcomes = asyncio.run(replayer.replay(examples()))
    for outcome in outcomes:
        lines = [f"left out, needs {outcome.left_out}"] if outcome.left_out else outcome.faults
        for line in lines:
            print(f"{outcome.example.name}: {line}")
    for line in replayer.unneeded(outcomes):
        print(f"deviation without need: {line}")
    wrong = sum(bool(outcome.faults) for outcome in outcomes)
    left = sum(bool(outcome.left_out) for outcome in outcomes)
    print(f"{len(outcomes)} examples: {wrong} not as documented, {left} left out")
    return int(bool(wrong or replayer.unneeded(outcomes)))


if __name__ == "__main__":
    sys.exit(main())
