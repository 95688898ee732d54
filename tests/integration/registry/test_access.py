"""The registry with authentication on: root token, keys, permission groups, grants on templates."""

import re

import pytest

from chassis.bus.memory import MemoryBus
from chassis.clock import SystemClock
from chassis.web import ACTOR_HEADER, WebServer
from contracts.artifacts import template_id_of
from contracts.events import EventHappened, EventKind
from corral.registry import RegistryClient, RegistryError
from registry.app import build
from registry.config import Settings
from registry.permissions import ANYBODY, KNOWN, NEEDS, OPEN
from tests.integration.registry.guarded import ALL_ON, GROUPS_ON, Door, guarded
from tests.integration.registry.test_messages import listen
from tests.integration.registry.test_skopeo import run
from tests.registries import push, qcow2
from tests.tap import ROOT, ROOT_TOKEN, add_key, basic, caller, private_key, root
from tests.waiting import until

KEYS = "/v1/apikey"
ADMIN = "/admin/api/v1/permission"
NEED = b'{"status":"FAIL","message":"Authentication Required"}\n'


@pytest.fixture
async def door(own_store, tmp_path):
    async with guarded(own_store, tmp_path / "registry", **ALL_ON) as door:
        yield door


@pytest.fixture
async def template(door) -> str:
    """A template that root pushed; its id."""
    return await root_pushes(door)


async def root_pushes(door: Door) -> str:
    async with RegistryClient(door.address, root_token=ROOT_TOKEN) as client:
        await push(client, "base", "v1", [qcow2()])
    return template_id_of("base")


async def grant(door: Door, group: str, template_id: str, *permissions: str) -> None:
    wish = [{"id": template_id, "type": "template", "permissions": permissions}]
    answer = await root(door)("POST", f"{ADMIN}/group/{group}/resources", wish)
    assert answer.json == {"status": "OK", "message": "Saved"}


async def member(door: Door, name: str, *permissions: str):
    """Calls of a key in a group of its own name, which has these permissions."""
    wish = {"name": name, "permissions": permissions}
    assert (await root(door)("POST", f"{ADMIN}/group", wish)).body is None
    return await caller(door, name, await add_key(door, name, name, path=KEYS))


async def test_every_path_asks_who_calls_but_those_that_are_open(door):
    for path, verbs in NEEDS.items():
        for verb, needs in verbs.items():
            answer = await door(verb, re.sub(r"{\w+}", "any", path), b"{}")
            if OPEN in needs:
                assert answer.code in (200, 400), path
            elif path.startswith("/v2"):
                assert answer.code == 401, (verb, path)
                assert answer.headers["WWW-Authenticate"].startswith("Basic ")
                if verb != "HEAD":
                    assert answer.json["errors"][0]["code"] == "UNAUTHORIZED"
            else:
                assert (answer.code, answer.raw) == (401, NEED), (verb, path)
    assert (await door("GET", "/nothing/here")).code == 401
    assert (await root(door)("GET", "/nothing/here")).code == 404


async def test_every_route_has_a_permission_and_every_permission_a_label(own_store, tmp_path):
    settings = Settings(base_path=str(tmp_path), **ALL_ON)
    service = build(settings, MemoryBus(SystemClock()), own_store)
    apps = [part._runner.app for part in service._parts if isinstance(part, WebServer)]
    app = next(app for app in apps if "/metrics" not in str(list(app.router.routes())))
    routes = {
        (route.resource.canonical, route.method.replace("HEAD", "GET"))
        for route in app.router.routes()
    }
    assert len(routes) > 30
    missing = [(path, verb) for path, verb in routes if verb not in NEEDS.get(path, {})]
    assert missing == [], "remedy: a line in registry/permissions.py"
    needed = {need for verbs in NEEDS.values() for needs in verbs.values() for need in needs}
    assert needed - {OPEN, ANYBODY} <= KNOWN


async def test_root_may_do_everything_whatever_it_is_called(door, template):
    for user in ("root", "", "docker"):
        headers = basic(ROOT_TOKEN, user)
        (listed,) = (await door("GET", "/registry/v2/vm", headers=headers)).body
        assert listed["id"] == template
        assert (await door("GET", "/v2/", headers=headers)).code == 200
    assert (await door("GET", "/v2/", headers=basic("wrong-token"))).code == 401


async def test_keys_of_the_registry_are_its_own_and_work_as_at_the_controller(door):
    call = root(door)
    line = (await call("POST", KEYS, {"id": "made", "ttl": 60, "groups": ["a"]})).body
    key = await caller(door, "made", private_key(line))
    assert (await key("GET", "/registry/status")).body["status"] == "Running"
    (shown,) = (await call("GET", f"{KEYS}?id=made")).body
    assert (shown["id"], shown["groups"]) == ("made", ["a"])
    assert (await call("PUT", KEYS, {"id": "made", "groups": ["b"]})).json["status"] == "OK"
    assert (await call("GET", KEYS)).body[0]["groups"] == ["b"]
    assert (await call("DELETE", KEYS, {"id": "made"})).json == {"status": "OK", "message": ""}
    assert (await key("GET", "/registry/status")).raw == NEED
    assert (await call("GET", KEYS)).body == []
    assert (await door("POST", "/tap/v1/hand", {"id": "made"})).raw == NEED


@pytest.mark.parametrize(
    ("wish", "named"),
    [
        ({"ttl": 60, "groups": []}, "id"),
        ({"id": "x", "groups": []}, "ttl"),
        ({"id": "x", "ttl": 60}, "groups"),
        ({"id": "x", "ttl": 0, "groups": []}, "ttl"),
        ({"id": "x", "ttl": 60, "groups": [], "publicKey": "eA=="}, "publicKey"),
    ],
)
async def test_a_malformed_key_is_told_which_field_it_is(door, wish, named):
    answer = await root(door)("POST", KEYS, wish)
    assert (answer.code, answer.json["message"].split()[0]) == (400, named)


async def test_permission_groups_say_which_calls_a_key_may_make(own_store, tmp_path):
    async with guarded(own_store, tmp_path / "registry", **GROUPS_ON) as door:
        reader = await member(door, "readers", "list_vms")
        nobody = await member(door, "nobodies")
        assert (await reader("GET", "/registry/v2/vm")).body == []
        assert (await nobody("GET", "/registry/v2/vm")).code == 403
        assert (await nobody("GET", "/registry/status")).body
        for call in (reader, nobody):
            assert (await call("DELETE", "/registry/vm?id=x")).code == 403
            denied = await call("POST", "/v2/base/blobs/uploads/")
            assert (denied.code, denied.json["errors"][0]["code"]) == (403, "DENIED")
            assert (await call("GET", f"{ADMIN}/group")).code == 403


@pytest.mark.parametrize("base", [ADMIN, "/admin/v1/api/permission"])
async def test_what_can_be_granted_is_answered_as_documented(door, base):
    labels = {
        "delete_revert": "Delete and/or Revert Template",
        "get_config": "Get Template Configuration",
        "list": "List Template",
        "pull": "Pull Template",
        "push_tag": "Push Template Tag",
        "save_image": "Save Image Target",
        "set_arch": "Set Template Architecture",
    }
    permissions = {name: {"label": text, "description": text} for name, text in labels.items()}
    permissions["save_image"]["description"] = "Target Template for Save Image"
    body = (await root(door)("GET", f"{base}/resources/permissions")).body
    assert body == [{"resource_type": "template", "permissions": permissions}]
    path = f"{base}/group/devops/resources"
    assert (await root(door)("GET", path)).body == []
    held = {"id": "t", "id_type": "id", "type": "template", "permissions": ["list", "pull"]}
    answer = await root(door)("POST", path, [held])
    assert answer.raw == b'{"status":"OK","message":"Saved"}'
    assert (await root(door)("GET", path)).body == [held]


async def test_groups_are_made_changed_and_removed(door):
    call = root(door)
    assert (await call("POST", f"{ADMIN}/group/a", {"permissions": ["revert"]})).body is None
    assert (await call("PUT", f"{ADMIN}/group/a", {"permissions": ["list_vms"]})).body is None
    group = {"name": "a", "permissions": ["list_vms"]}
    assert (await call("GET", f"{ADMIN}/group/a")).body == group
    assert (await call("GET", f"{ADMIN}/group")).body == [group]
    assert (await call("PUT", f"{ADMIN}/group/a", {"permissions": ["fly"]})).code == 400
    assert (await call("DELETE", f"{ADMIN}/group/a")).body is None
    assert (await call("GET", f"{ADMIN}/group")).body == []
    names = [
        each["name"] for part in (await call("GET", ADMIN)).body for each in part["permissions"]
    ]
    assert sorted(names) == sorted(KNOWN)


async def test_templates_that_may_not_be_listed_do_not_exist(door, template):
    call = await member(door, "devops", "list_vms", "delete_vm")
    for path in ("/registry/v2/vm", "/registry/vm"):
        assert (await call("GET", path)).json["body"] == []
        assert (await call("GET", f"{path}?id={template}")).failure == "Not found"
    await grant(door, "devops", template, "list")
    assert [each["id"] for each in (await call("GET", "/registry/v2/vm")).body] == [template]
    assert [*(await call("GET", "/registry/vm")).json["body"][0]] == [template]
    assert (await call("GET", f"/registry/v2/vm?id={template}")).body["id"] == template
    assert (await call("DELETE", f"/registry/vm?id={template}")).code == 403


async def test_a_template_is_changed_by_whom_that_is_granted_to(door, template):
    call = await member(door, "devops", "list_vms", "push_vm", "revert", "delete_vm")
    await grant(door, "devops", template, "list")
    arch = {"id": template, "arch": "arm64"}
    assert (await call("PUT", "/registry/vm/arch", arch)).code == 403
    assert (await call("GET", f"/registry/vm/info?id={template}")).code == 403
    assert (await call("DELETE", "/registry/revert", {"id": template})).code == 403
    for two in ({"id": "mine"}, {"id": template}):
        other = "mine" if two["id"] == template else template
        assert (await call("DELETE", f"/registry/revert?id={other}", two)).failure == "Not found"
    await grant(door, "devops", template, "set_arch", "get_config", "delete_revert")
    assert (await call("PUT", "/registry/vm/arch", arch)).json["status"] == "OK"
    assert (await call("GET", f"/registry/vm/info?id={template}")).json["status"] == "OK"
    assert (await call("DELETE", f"/registry/vm?id={template}")).json["status"] == "OK"


async def test_tags_are_pulled_and_pushed_by_whom_that_is_granted_to(door, template):
    call = await member(door, "devops", "pull_vm", "push_vm", "head_push_vm")
    assert (await call("GET", "/v2/base/manifests/v1")).code == 404
    await grant(door, "devops", template, "list")
    assert (await call("GET", "/v2/base/manifests/v1")).code == 403
    assert (await call("POST", "/v2/base/blobs/uploads/")).code == 403
    await grant(door, "devops", template, "list", "pull")
    assert (await call("GET", "/v2/base/manifests/v1")).code == 200
    assert (await call("HEAD", "/v2/base/manifests/v1")).code == 200
    assert (await call("POST", "/v2/base/blobs/uploads/")).code == 403
    await grant(door, "devops", template, "list", "push_tag")
    assert (await call("POST", "/v2/base/blobs/uploads/")).code == 202
    blob = "sha256:" + "0" * 64
    mount = f"/v2/base/blobs/uploads/?mount={blob}&from=other"
    assert (await call("POST", mount)).code == 403


async def test_who_asked_is_told_and_only_root_asks_for_others(door):
    ear = await listen(door.registry.bus, "event.#")
    template = await root_pushes(door)
    call = await member(door, "devops", "revert", "delete_vm")
    await grant(door, "devops", template, "delete_revert")
    lie = call.keywords["headers"] | {ACTOR_HEADER: "somebody"}
    assert (await door("DELETE", f"/registry/vm?id={template}", headers=lie)).code == 200
    await root_pushes(door)
    headers = ROOT | {ACTOR_HEADER: "ci"}
    assert (await door("DELETE", f"/registry/vm?id={template}", headers=headers)).code == 200
    events = await until(lambda: len(ear.of(EventHappened)) == 4 and ear.of(EventHappened))
    assert [(event.kind, event.actor) for event in events] == [
        (EventKind.TEMPLATE_PUSHED, "root"),
        (EventKind.DELETE_REGISTRY_VM, "devops"),
        (EventKind.TEMPLATE_PUSHED, "root"),
        (EventKind.DELETE_REGISTRY_VM, "ci"),
    ]


async def test_a_client_without_the_token_is_told_so(door, template):
    async with RegistryClient(door.address, tries=2) as client:
        with pytest.raises(RegistryError, match=r"Authentication Required"):
            await client.manifest("base", "v1")


async def test_skopeo_logs_in_with_the_root_token(door, template, skopeo):
    target = door.address.replace("http://", "docker://") + "/base:v1"
    plain = ("--tls-verify=false", "--raw")
    token = ("--creds", f"anybody:{ROOT_TOKEN}")
    assert "layers" in await run("inspect", *plain, *token, target)
    assert "unauthorized" in (await run("inspect", *plain, target, expect=1)).lower()
