"""Holds every answer of a gateway, and what it reads of requests, against the API's description."""

import functools
import json
from typing import Any

import jsonschema_rs
from aiohttp import web

from api_gateway.app import Gateway
from api_gateway.paths import Paths
from tests import asked_fields

_EVENTS = "PublicEvent"
_REFUSED = {"/api/v1/events": {"since", "until", "before"}}
"""By path: what is read only to say that it is not taken there."""


class Conformance:
    """Hold a gateway's answers against what it says of itself; ``check`` tells what differs.

    To be made before the gateway starts; ``learn`` makes it begin.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._broken: list[str] = []
        self._rules: Rules | None = None
        gateway._server._runner.app.middlewares.append(self._watch)

    def learn(self, document: bytes) -> None:
        """Take the document."""
        self._rules = rules_of(document)

    def check(self) -> None:
        """AssertionError when there is anything."""
        assert not self._broken, "\n".join(self._broken)

    @web.middleware
    async def _watch(self, request: web.Request, handler: Any) -> web.StreamResponse:
        asked = asked_fields.note()
        response = await handler(request)
        if self._rules is None:
            return response
        wrong = self._rules.problem(request, response) or self._rules.secret(request, asked)
        if wrong:
            self._broken.append(f"{request.method} {request.rel_url}: {wrong}")
        return response


class Rules:
    """What a document allows."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._paths = Paths(document["paths"])
        self._validators: dict[str, Any] = {}

    def problem(self, request: web.Request, response: web.StreamResponse) -> str:
        """What is wrong with an answer; empty also for what the document is silent about."""
        path, _ = self._paths.find(request)
        call = self._document["paths"].get(path, {}).get(request.method.lower())
        if call is None:
            return ""
        answer = call["responses"].get(str(response.status))
        if answer is None:
            return f"status {response.status} is not in the document"
        if "$ref" in answer:
            answer = self._document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        content = answer.get("content", {})
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        said = content.get(kind, content.get("*/*"))
        if said is None:
            return f"{response.status} is of type {kind}" if content else ""
        if not isinstance(response, web.Response) or not kind.endswith("json"):
            return ""
        assert isinstance(response.body, bytes)
        return self._mismatch(said.get("schema", {}), response.body)

    def secret(self, request: web.Request, asked: set[str]) -> str:
        """What the gateway reads of such requests and does not describe."""
        path, _ = self._paths.find(request)
        return self.undescribed(path, request.method, asked)

    def undescribed(self, path: str, verb: str, asked: set[str]) -> str:
        """What is asked for in a call beyond what its description has."""
        call = self._document["paths"].get(path, {}).get(verb.lower())
        if call is None:
            return ""
        body = call.get("requestBody", {}).get("content", {}).get("application/json", {})
        described = {parameter["name"] for parameter in call["parameters"]}
        described |= self._properties(body.get("schema", {}))
        hidden = sorted(asked - described - _REFUSED.get(path, set()))
        return f"{hidden} is read and not described" if hidden else ""

    def _properties(self, schema: dict[str, Any]) -> set[str]:
        """Of an object, or of the objects in an array."""
        if "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if "items" in schema:
            return self._properties(schema["items"])
        return set(schema.get("properties", ()))

    def _mismatch(self, schema: dict[str, Any], body: bytes) -> str:
        if "contentEncoding" in schema:
            return ""  # bare text, whatever its content type
        key = json.dumps(schema)
        validator = self._validators.get(key)
        if validator is None:
            whole = {**schema, "components": self._document["components"]}
            validator = self._validators[key] = jsonschema_rs.Draft202012Validator(whole)
        found = validator.iter_errors(json.loads(body))
        return "; ".join(f"{error.instance_path}: {error.message}"[:600] for error in found)


@functools.lru_cache(maxsize=16)
def rules_of(document: bytes) -> Rules:
    """The rules of a document, in which an answer must not have a field that is not described.

    But for events: each kind has fields of its own.
    """
    closed = json.loads(document)
    for name, schema in closed["components"]["schemas"].items():
        if "properties" in schema and name != _EVENTS:
            schema.setdefault("additionalProperties", False)
    return Rules(closed)
