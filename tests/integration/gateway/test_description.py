"""What the gateway says of itself; `tests/conformance.py` holds its answers to it."""

import re

import openapi_spec_validator
import pytest

from api_gateway.auth.permissions import NEEDS, OPEN
from api_gateway.operation import Undescribed, operation, operation_of
from tests.integration.gateway.cloud import Api, Cloud
from tests.integration.gateway.guarded import ALL_ON, guarded

DOCUMENTS = ("/openapi.json", "/asyncapi.json", "/docs", "/docs/page.js", "/docs/page.css")


async def document(api: Api):
    return (await api("GET", "/openapi.json")).json


def served(api: Api):
    """Every path and verb that the gateway has a function for."""
    app = api.gateway._server._runner.app
    for resource in app.router.resources():
        for route in resource:
            if hasattr(route.handler.__self__, "_routes"):
                table = route.handler.__self__._routes
                yield from ((path, verb) for path, verbs in table.items() for verb in verbs)
            elif route.method != "HEAD":
                yield resource.canonical, route.method


@pytest.mark.parametrize("settings", [{}, ALL_ON], ids=["open", "guarded"])
async def test_every_route_is_described_and_nothing_else(cloud: Cloud, settings):
    api = await guarded(cloud, **settings) if settings else await cloud.gateway()
    paths = (await document(api))["paths"]
    described = {(path, verb.upper()) for path, verbs in paths.items() for verb in verbs}
    assert described == set(served(api))


@pytest.mark.parametrize("settings", [{}, ALL_ON], ids=["open", "guarded"])
async def test_the_document_is_openapi_and_its_types_have_plain_names(cloud: Cloud, settings):
    api = await guarded(cloud, **settings) if settings else await cloud.gateway()
    found = await document(api)
    assert found["openapi"].startswith("3.1")
    openapi_spec_validator.validate(found)
    names = [n for n in found["components"]["schemas"] if not re.fullmatch("[A-Z][A-Za-z]+", n)]
    assert names == []


async def test_each_call_says_what_it_is_for_and_where_it_belongs(cloud: Cloud):
    found = await document(await guarded(cloud, **ALL_ON))
    chapters = {tag["name"] for tag in found["tags"]}
    identities = []
    for path, verbs in found["paths"].items():
        for verb, call in verbs.items():
            assert call["summary"], (verb, path)
            assert set(call["tags"]) <= chapters
            identities.append(call["operationId"])
    assert len(set(identities)) == len(identities)


async def test_the_permission_of_each_call_is_described(cloud: Cloud):
    paths = (await document(await guarded(cloud, **ALL_ON)))["paths"]
    for path, verbs in paths.items():
        for verb, call in verbs.items():
            is_open = NEEDS[path][verb.upper()] == OPEN
            assert ("security" in call) != is_open, (verb, path)
            assert ("403" in call["responses"]) != is_open, (verb, path)
    assert {"session": ["start_vm"]} in paths["/api/v1/vm"]["post"]["security"]
    assert {"session": []} in paths["/api/v1/status"]["get"]["security"]


async def test_nobody_has_to_say_who_they_are_where_nobody_is_asked(api: Api):
    found = await document(api)
    assert "securitySchemes" not in found["components"]
    for verbs in found["paths"].values():
        assert not any("security" in call for call in verbs.values())
    assert "/tap/v1/hand" not in found["paths"]


async def test_types_of_requests_and_answers_are_those_of_the_wire(api: Api):
    found = await document(api)
    start = found["paths"]["/api/v1/vm"]["post"]
    body = start["requestBody"]["content"]["application/json"]["schema"]
    schemas = found["components"]["schemas"]
    wanted = schemas[body["$ref"].rpartition("/")[2]]
    assert wanted["required"] == ["vmid"]
    assert wanted["properties"]["count"]["anyOf"][0]["maximum"] == 1000
    assert {"name": "Idempotency-Key", "in": "header"}.items() <= start["parameters"][0].items()
    answer = start["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"][0]
    assert answer["properties"]["body"] == {"type": "array", "items": {"type": "string"}}
    assert schemas["Wrapper"]["properties"]["vm"] == {"$ref": "#/components/schemas/Vm"}
    assert schemas["Vm"]["properties"]["ts"]["format"] == "date-time"


async def test_a_document_is_not_sent_again_to_whoever_has_it(cloud: Cloud):
    api = await guarded(cloud, **ALL_ON)
    for path in DOCUMENTS:
        first = await api("GET", path)
        assert first.code == 200
        again = await api("GET", path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.code, again.raw) == (304, b"")


async def test_the_page_needs_nothing_from_elsewhere(api: Api):
    page = await api("GET", "/docs")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    text = page.raw.decode()
    assert "<style" not in text
    assert not re.search(r"<script(?! src=\")|\son\w+=|\sstyle=", text)
    for name in re.findall(r'(?:src|href)="([^"]+)"', text):
        assert ":" not in name
        assert (await api("GET", f"/{name}")).code == 200
    for name in ("page.js", "page.css"):
        file = await api("GET", f"/docs/{name}")
        assert "://" not in file.raw.decode()
        assert "innerHTML" not in file.raw.decode()
    assert (await api("GET", "/docs/page.js")).headers["Content-Type"].startswith("text/javascript")
    assert (await api("GET", "/docs/..%2fpage.html")).failure == "Not found"


def ways_to_types(value, key=""):
    """The keywords under which a document refers to its types, alone or in a list."""
    if isinstance(value, list):
        return set().union(*(ways_to_types(item, key) for item in value))
    if not isinstance(value, dict):
        return set()
    own = {key} if str(value.get("$ref", "")).startswith("#/components/schemas/") else set()
    inner = ((key if key == "properties" else name, item) for name, item in value.items())
    return own.union(*(ways_to_types(item, name) for name, item in inner))


async def test_the_page_follows_every_way_from_a_document_to_its_types(api: Api):
    page = (await api("GET", "/docs/page.js")).raw.decode()
    for path in ("/openapi.json", "/asyncapi.json"):
        ways = ways_to_types((await api("GET", path)).json)
        assert {"schema", "headers"} & ways
        assert [way for way in ways if f".{way}" not in page] == []


async def test_the_messages_are_served_as_well(api: Api):
    found = (await api("GET", "/asyncapi.json")).json
    assert found["asyncapi"] == "3.0.0"
    assert "StartVM" in found["components"]["messages"]


def test_a_route_that_says_nothing_of_itself_is_found():
    async def silent() -> None: ...

    with pytest.raises(Undescribed, match="silent"):
        operation_of(silent)


def test_the_docstring_is_the_summary():
    @operation(str)
    async def route() -> None:
        """Do this,
        and that.

        With care.
        """

    said = operation_of(route)
    assert (said.summary, said.description) == ("Do this, and that.", "With care.")
    assert said.types() == [str]
