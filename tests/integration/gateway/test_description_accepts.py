"""What the gateway takes is in its description: who holds calls against it first loses none."""

import base64
from typing import Any

import jsonschema_rs
import pytest

from tests.integration.gateway.cloud import TEMPLATE, Api, Cloud
from tests.integration.gateway.guarded import guarded
from tests.tap import public_text, root, rsa_key

WEBHOOK = "/api/v1/webhook"
ROTATE = "/api/v1/webhook/rotate"
VM = "/api/v1/vm"
URL = "http://127.0.0.1:18089/x?y=1"


class Described:
    """What the description of a gateway says of a call."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def takes(self, verb: str, path: str, body: Any = None, **given: dict[str, str]) -> bool:
        """Whether the body, the query (``params``) and the headers are in it."""
        call = self._document["paths"][path][verb.lower()]
        wanted: list[tuple[Any, Any]] = []
        if body is not None:
            wanted.append((call["requestBody"]["content"]["application/json"]["schema"], body))
        for place, name in (("query", "params"), ("header", "headers")):
            schemas = {p["name"]: p["schema"] for p in call["parameters"] if p["in"] == place}
            wanted += [(schemas[key], value) for key, value in given.get(name, {}).items()]
        return all(self._fits(schema, value) for schema, value in wanted)

    def _fits(self, schema: dict[str, Any], value: Any) -> bool:
        whole = {**schema, "components": self._document["components"]}
        return jsonschema_rs.Draft202012Validator(whole).is_valid(value)


async def described(api: Api) -> Described:
    return Described((await api("GET", "/openapi.json")).json)


async def accepted(api: Api, verb: str, path: str, body: Any = None, **given: Any) -> Any:
    """The body of the answer to a call that is taken, and in the description."""
    answer = (await api(verb, path, body, **given)).body
    assert (await described(api)).takes(verb, path, body, **given)
    return answer


def secret(length: int) -> str:
    return "whsec_" + base64.b64encode(b"\xff" * length).decode()


async def test_a_key_as_the_gateway_makes_one_may_be_brought(api: Api):
    made = await accepted(api, "POST", WEBHOOK, {"url": URL})
    rotated = await accepted(api, "POST", ROTATE, {"id": made["id"]})
    for key in (made["secret"], rotated["secret"]):
        await accepted(api, "POST", ROTATE, {"id": made["id"], "secret": key})


async def test_a_key_of_any_length_may_be_brought(api: Api):
    for length in range(24, 65):
        await accepted(api, "POST", WEBHOOK, {"url": URL, "secret": secret(length)})


@pytest.mark.parametrize("key", ["whsec", "whsec_", secret(23), secret(65), secret(30)[:-1]])
async def test_what_is_no_key_is_neither_taken_nor_described(api: Api, key):
    wish = {"url": URL, "secret": key}
    assert (await api("POST", WEBHOOK, wish)).json["message"].startswith("secret: ")
    assert not (await described(api)).takes("POST", WEBHOOK, wish)


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "HTTPS://Ci:pass%20word@Hooks.Example:65535/a;b=c/~x?y=1&z=%2F+[]",
        "http://[::1]:8080",
        "https://hooks.example?y",
        "https://hooks.example/#",
    ],
)
async def test_any_url_that_can_be_posted_to_is_described(api: Api, url):
    made = await accepted(api, "POST", WEBHOOK, {"url": url})
    changes = {"url": url, "description": "ours"}
    assert (await described(api)).takes("PUT", WEBHOOK, changes, params={"id": made["id"]})
    assert (await api("PUT", f"{WEBHOOK}?id={made['id']}", changes)).body is None


@pytest.mark.parametrize(
    "address",
    ["", "http://Registry.Example:65535/under?x=1", "https://münchen.example", "http://[fd00::1]"],
)
async def test_any_registry_that_can_be_set_is_described(api: Api, address):
    await accepted(api, "PUT", "/api/v1/config", {"registry_address": address})


@pytest.mark.parametrize(
    ("verb", "path", "wish", "name"),
    [
        ("POST", WEBHOOK, {"url": URL, "kinds": ["WebhookTest"]}, "kinds"),
        ("POST", WEBHOOK, {"url": URL, "description": "d" * 1001}, "description"),
        ("POST", VM, {"vmid": TEMPLATE, "mac_address": "01:00:00:00:00:00"}, "mac_address"),
        ("POST", VM, {"vmid": TEMPLATE, "hvapic": "on"}, "hvapic"),
        ("DELETE", VM, {"metadata": {}}, "metadata"),
    ],
)
async def test_what_is_refused_is_not_described(api: Api, verb, path, wish, name):
    assert (await api(verb, path, wish)).json["message"].startswith(f"{name}: ")
    assert not (await described(api)).takes(verb, path, wish)


@pytest.mark.parametrize("address", ["http://a b", " http://a", "http://a\n", "ht\ttp://a"])
async def test_no_address_has_blanks_in_it(api: Api, address):
    wish = {"registry_address": address}
    assert (await api("PUT", "/api/v1/config", wish)).code == 400
    assert not (await described(api)).takes("PUT", "/api/v1/config", wish)


@pytest.mark.parametrize(
    "moment",
    [
        "2031-05-04T12:00:00+02:00",
        "2031-05-04T10:00:00.123456Z",
        "2031-05-31t10:00:00-0330",
        "1999-12-31 23:59:59z",
        "253402300799",
    ],
)
async def test_any_moment_that_is_understood_is_described(api: Api, moment):
    for path in ("/api/v1/event", "/api/v1/event/export"):
        given = {"params": {"since": moment, "until": moment}}
        assert (await api("GET", path, **given)).code == 200
        assert (await described(api)).takes("GET", path, **given)


@pytest.mark.parametrize(
    "span", [{"since": "2031-05-04T12:00:00+02:00"}, {"first": 2**53}, {"last": 2**40}]
)
async def test_whatever_a_replay_may_begin_and_end_with_is_described(api: Api, span):
    made = await accepted(api, "POST", WEBHOOK, {"url": URL})
    wish = {"id": made["id"], **span}
    answer = await api("POST", "/api/v1/webhook/replay", wish)
    assert answer.failure == "Not found: no such event in the log"
    assert (await described(api)).takes("POST", "/api/v1/webhook/replay", wish)


@pytest.mark.parametrize(
    "changes",
    [
        {"startup_script": base64.encodebytes(b"echo hello\n" * 20).decode()},
        {"startup_script": "ZWNo\tbyBo\r\n aQ= =\n"},
        {"disk": {"size": "268435456K"}},
        {"disk": {"size": "1048576T"}},
        {"port_forwarding_override": [{"name": "ssh", "guest_port": "22", "host_port": "10022"}]},
        {"port_forwarding_override": [{"name": "ssh", "guest_port": 22, "host_port": ""}]},
        {"mac_address": "", "startup_script": ""},
    ],
)
async def test_what_a_start_takes_is_described(api: Api, changes):
    await accepted(api, "POST", VM, {"vmid": TEMPLATE, **changes})


async def test_a_key_of_a_repeat_may_have_blanks_and_signs(api: Api):
    for key in ("build 17 of main", "é" * 100, "k" * 255):
        await accepted(api, "POST", VM, {"vmid": TEMPLATE}, headers={"Idempotency-Key": key})


async def test_the_public_half_of_a_key_is_taken_as_it_is_made(cloud: Cloud):
    api = await guarded(cloud)
    wish = {"id": "ci", "ttl": 60, "groups": ["g"], "publicKey": public_text(rsa_key())}
    assert (await root(api)("POST", "/api/v1/apikey", wish)).body is None
    assert (await described(api)).takes("POST", "/api/v1/apikey", wish)
