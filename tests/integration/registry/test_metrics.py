"""The registry's requests as its metrics tell them."""

from prometheus_client import REGISTRY

from contracts.artifacts import digest_of
from tests.registries import push, qcow2
from tests.samples import Since

BLOB = "/v2/{name}/blobs/{digest}"


def requests(path: str, verb: str, code: int) -> Since:
    labels = {"service": "registry", "path": path, "verb": verb, "code": str(code)}
    return Since("corral_http_requests_total", **labels)


def paths() -> set[str]:
    counted = {"service": "registry"}.items()
    families = (family for family in REGISTRY.collect() if family.name == "corral_http_requests")
    samples = [sample for family in families for sample in family.samples]
    return {one.labels["path"] for one in samples if counted <= one.labels.items()}


async def test_requests_are_counted_by_the_pattern_of_their_route(http, client):
    layer = qcow2()
    await push(client, "team/base", "v1", [layer])
    found, missing = requests(BLOB, "GET", 200), requests(BLOB, "GET", 404)
    timed = Since("corral_http_request_seconds_count", service="registry", path=BLOB, verb="GET")
    for repository in ("team/base", "team/other"):
        async with http.get(f"/v2/{repository}/blobs/{digest_of(layer)}") as answer:
            await answer.read()
    assert (found(), missing(), timed()) == (1, 1, 2)


async def test_whatever_is_asked_for_adds_no_labels(http):
    unknown, barred = requests("other", "other", 404), requests("other", "other", 405)
    before = paths()
    for path in ("/nonsense", "/registry/vm/nonsense", "/v2/%22%7D"):
        async with http.get(path) as answer:
            assert answer.status == 404
    async with http.request("PROPFIND", "/registry/vm") as answer:
        assert answer.status == 405
    assert paths() - before <= {"other"}
    assert (unknown(), barred()) == (3, 1)
