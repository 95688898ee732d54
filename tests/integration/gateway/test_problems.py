"""Failures as RFC 9457 describes them, for those who ask."""

import pytest

from tests.integration.gateway.cloud import TEMPLATE, Api, Cloud

ASKED = {"Accept": "application/problem+json", "X-Request-ID": "req-7"}


@pytest.mark.parametrize(
    ("verb", "path", "body", "code", "title", "detail"),
    [
        ("GET", "/api/v1/vm?id=x", None, 404, "Not Found", "Not found"),
        ("DELETE", "/api/v1/vm", {"id": "x"}, 404, "Not Found", "Not found"),
        (
            "POST",
            "/api/v1/vm",
            {"vmid": TEMPLATE, "tag": "v99"},
            422,
            "Unprocessable Entity",
            "No such tag v99",
        ),
        ("POST", "/api/v1/vm", {}, 400, "Bad Request", "vmid: required field is missing"),
        ("GET", "/nothing", None, 404, "Not Found", "no such path"),
        (
            "POST",
            "/api/v1/vm/explain",
            {},
            405,
            "Method Not Allowed",
            "POST is not possible here, only GET",
        ),
    ],
)
async def test_a_failure_is_a_problem_with_the_right_code(
    api: Api, verb, path, body, code, title, detail
):
    answer = await api(verb, path, body, headers=ASKED)
    assert (answer.code, answer.headers["Content-Type"]) == (code, "application/problem+json")
    assert answer.json == {
        "type": "about:blank",
        "title": title,
        "status": code,
        "detail": detail,
        "request_id": "req-7",
    }
    assert answer.headers["X-Request-ID"] == "req-7"


async def test_a_body_too_large_is_a_problem_too(cloud: Cloud):
    api = await cloud.gateway(max_body=100)
    answer = await api("POST", "/api/v1/vm", b" " * 200, headers=ASKED)
    assert (answer.code, answer.json["status"]) == (413, 413)


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/*", "text/html"])
async def test_whoever_does_not_ask_gets_the_documented_answer(api: Api, accept):
    headers = {"Accept": accept} if accept else {}
    answer = await api("GET", "/api/v1/vm?id=x", headers=headers)
    assert answer.failure == "Not found"
    assert answer.headers["Content-Type"] == "application/json"


async def test_success_is_the_envelope_for_all(api: Api):
    accept = {"Accept": "application/json, Application/Problem+JSON"}
    assert (await api("GET", "/api/v1/vm", headers=accept)).body == []
    answer = await api("GET", "/api/v1/vm?id=x", headers=accept)
    assert answer.code == 404


async def test_a_verb_that_is_not_possible_names_those_that_are(api: Api):
    answer = await api("PATCH", "/api/v1/vm")
    assert answer.code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST", "PUT", "DELETE"}
