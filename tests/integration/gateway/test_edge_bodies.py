"""What may be sent as a body: it is understood, or named, and life goes on."""

import json

from tests.integration.gateway.cloud import TEMPLATE, Api

PATH = "/api/v1/vm"
VALID = json.dumps({"vmid": TEMPLATE}).encode()


def _with(field: str, value: bytes) -> bytes:
    return VALID[:-1] + b',"%s":%s}' % (field.encode(), value)


async def _is_well(api: Api) -> None:
    assert (await api("GET", "/api/v1/status")).body["status"] == "Running"


NO_JSON = [
    b"",
    b" \r\n",
    b"\x00",
    b"{",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"a":[' * 400 + b"]}" * 399,
    _with("count", b"NaN"),
    _with("count", b"-Infinity"),
    _with("count", b"1e999"),
    _with("count", b"01"),
    _with("name", b'"\x1f"'),
    _with("name", b'"\\ud800"'),
    VALID.decode().encode("utf-16"),
    VALID + VALID,
    VALID + b"\x00",
    b"'" + VALID + b"'",
]


async def test_what_is_no_json_is_400_and_says_so(api: Api):
    for body in NO_JSON:
        answer = await api("POST", PATH, body)
        assert answer.code == 400
        assert answer.json == {
            "status": "FAIL",
            "message": "body: expected a JSON object, got malformed JSON",
        }
        await _is_well(api)


IMPOSSIBLE = [
    ("count", b"9" * 4000),
    ("count", b"1e308"),
    ("count", b"-1"),
    ("count", b"1.5"),
    ("count", b'"1001"'),
    ("count", b'"\\u0661"'),
    ("version", b"18446744073709551616"),
    ("priority", b"true"),
    ("vcpu", b"2147483648"),
    ("name", b"[" * 500 + b"]" * 500),
    ("metadata", b'{"a":{"b":1}}'),
    ("metadata", b'{"a":18446744073709551615}'),
    ("metadata", b'{"\\u0000":1}'),
    ("startup_script", b'"%%"'),
]


async def test_a_value_that_cannot_be_is_400_naming_the_field(api: Api):
    for field, value in IMPOSSIBLE:
        answer = await api("POST", PATH, _with(field, value))
        assert answer.code == 400
        assert answer.json["message"].startswith(field)
        assert await api.listed() == {}


UNUSUAL = [
    b"\xef\xbb\xbf" + VALID,
    b"\t" + VALID + b"\n\n",
    b'{"vmid":"nobody",' + VALID[1:],
    _with("count", b'"1"'),
    _with("count", b"1.0"),
    _with("count", b"null"),
    _with("unknown", b'{"deep":' * 300 + b"1" + b"}" * 300),
    _with("", b"[]"),
    _with("$where", b'"1"'),
    _with("name", b'"a\\u0000\\u001b\\ud83d\\ude00"'),
    _with("external_id", b'"' + b"x" * 200_000 + b'"'),
    _with("metadata", b'{"a.b":1,"$c":true,"":"x"}').replace(b',"":"x"', b""),
]


async def test_what_is_unusual_but_right_is_accepted(api: Api):
    for body in UNUSUAL:
        (identity,) = (await api("POST", PATH, body)).body
        assert (await api.vm(identity))["vmid"] == TEMPLATE


async def test_strings_come_back_as_they_were_sent(api: Api):
    name = "a\0\x1b\u2028 é 😀 " + "x" * 100_000
    (identity,) = await api.start(name=name, metadata={"k.$": name})
    vm = await api.vm(identity)
    assert (vm["name"], vm["metadata"]) == (name, {"k.$": name})


async def test_one_small_request_does_not_store_a_gigabyte(api: Api):
    answer = await api("POST", PATH, {"vmid": TEMPLATE, "count": 1000, "name": "x" * 500_000})
    assert (answer.code, answer.json["message"].partition(":")[0]) == (400, "count")
    assert await api.listed() == {}
