"""Oddities of the wire that public clients and scripts have come to depend on.

Those that follow from all clients together stand in ``test_rules.py``, those that are a field's
form in ``fields.py``, those that are a word in ``test_words.py``, those of logins in
``test_logins.py``; the golden answers show the rest of the page.
"""

import pytest

from contracts.instances import InstanceState
from tests.clients.stage import SSH, VNC
from tests.integration.gateway.cloud import NODE, SUSPENDED, TEMPLATE, running
from tests.tap import root

ADMIN = ("/admin/api/v1/permission", "/admin/v1/api/permission")


async def test_a_key_by_its_id_is_an_array(stage):
    call = root(stage.guarded)
    wish = {"id": "quirk", "ttl": 60, "groups": ["g"]}
    assert (await call("POST", "/api/v1/apikey", wish)).body
    (key,) = (await call("GET", "/api/v1/apikey?id=quirk")).body
    assert (key["id"], key["groups"]) == ("quirk", ["g"])


async def test_the_version_is_a_release_a_dash_and_a_hash(api):
    version = (await api("GET", "/api/v1/status")).body["version"]
    release, _, digest = version.partition("-")
    assert [part.isdecimal() for part in release.split(".")] == [True] * 3
    assert int(digest, 16) >= 0


@pytest.mark.parametrize("spelling", ADMIN)
async def test_permissions_have_two_paths(stage, spelling):
    assert (await root(stage.limited)("GET", spelling)).body
    assert (await root(stage.limited)("GET", f"{spelling}/group")).json["status"] == "OK"


async def test_permissions_keep_the_misspelt_name(stage):
    sections = (await root(stage.limited)("GET", ADMIN[0])).body
    names = {item["name"] for section in sections for item in section["permissions"]}
    assert "view_prmission_groups" in names


@pytest.mark.parametrize("name", ["new_template_name", "target_vm_id"])
async def test_the_request_of_a_save_is_in_pascal_case(stage, name):
    instance = (await stage.in_state(InstanceState.STARTED))["instance_id"]
    wish = {"id": instance, name: TEMPLATE, "tag": "v9"}
    save = (await stage.api("POST", "/api/v1/image", wish)).body["request_id"]
    shown = (await stage.api("GET", f"/api/v1/image?id={save}")).body
    assert shown.keys() == {"id", "request", "status", "error", "script_result"}
    assert all(key[0].isupper() and "_" not in key for key in shown["request"])


async def test_rules_for_ports_have_names_and_whole_numbers_in_their_own_order(stage):
    """Of several rules drone takes the first."""
    vm = (await stage.in_state(InstanceState.STARTED))["vm"]
    assert vm["vminfo"]["port_forwarding"] == [
        {"guest_port": r.guest_port, "host_port": r.host_port, "protocol": "tcp", "name": r.name}
        for r in (SSH, VNC)
    ]


async def test_without_rules_for_ports_there_is_no_array_of_them(stage):
    (identity,) = await stage.api.start()
    changes = {"node_id": NODE, "vminfo": running(port_forwarding=())}
    await stage.cloud.move(identity, state=InstanceState.STARTED, **changes)
    vm = (await stage.reaches(identity, "Started"))["vm"]
    assert "port_forwarding" not in vm["vminfo"]


@pytest.mark.parametrize("port", [22, "22"])
async def test_ports_are_numbers_or_texts_when_they_are_wished(api, port):
    rule = {"name": "ssh", "guest_port": port}
    assert await api.start(port_forwarding_override=[rule])


@pytest.mark.parametrize("number", [1, "1"])
async def test_numbers_may_be_texts_when_they_are_wished(api, number):
    """drone has them as such."""
    assert len(await api.start(count=number, priority=number, version=number)) == 1


@pytest.mark.parametrize("count", [1, 2, 3, 5])
async def test_count_is_how_many_ids_come_back(api, count):
    ids = await api.start(count=count)
    assert len(set(ids)) == count


async def test_an_external_id_may_be_used_again(api):
    """GitLab repeats a stage, and then looks for the one that is usable."""
    ids = [(await api.start(external_id="same"))[0] for _ in range(2)]
    listed = await api.listed()
    assert [listed[identity]["external_id"] for identity in ids] == ["same", "same"]


async def test_what_was_requested_is_shown_while_it_waits(api):
    """Tag and architecture are known from the beginning."""
    (identity,) = await api.start()
    vm = await api.vm(identity)
    assert (vm["tag"], vm["arch"], vm["vlan"]) == ("v2", "amd64", "")
    assert vm["inflight_reqid"]


@pytest.mark.parametrize("state", [InstanceState.ERROR, InstanceState.TERMINATED])
async def test_what_has_ended_stays_in_the_list(stage, state):
    """The scheduler takes it away after a minute, the gateway never by itself."""
    identity = (await stage.in_state(state))["instance_id"]
    await stage.in_state(InstanceState.STARTED)
    assert (await stage.api.listed())[identity]["vm"]["instance_state"] == state.value


async def test_an_instance_in_error_can_be_terminated(stage):
    """GitLab leaves it alone, Jenkins terminates it."""
    identity = (await stage.in_state(InstanceState.ERROR))["instance_id"]
    assert (await stage.api("DELETE", "/api/v1/vm", {"id": identity})).body is None
    assert (await stage.api.vm(identity))["instance_state"] == "Terminating"


async def test_only_active_nodes_have_capacity_for_jenkins(api):
    nodes = (await api("GET", "/api/v1/node")).body
    usable = [node for node in nodes if node["state"].lower() == "active"]
    assert sum(node["capacity"] for node in usable) > 0


async def test_the_short_list_of_templates_has_objects_with_id_and_name(api):
    """GitLab reads it; the registry itself answers other shapes there."""
    for item in (await api("GET", "/api/v1/registry/vm?apiVer=v1")).body:
        assert item.keys() == {"id", "name"}


async def test_tags_may_have_spaces_and_plus_signs(api):
    (identity,) = await api.start(vmid=SUSPENDED, tag="with a space + plus")
    assert (await api.vm(identity))["tag"] == "with a space + plus"


async def test_memory_is_a_text_with_its_unit(stage):
    vm = (await stage.in_state(InstanceState.STARTED))["vm"]
    assert vm["vminfo"]["ram"] == "4G"


@pytest.mark.parametrize("package", ["AnkaAgent.pkg", "AnkaAgentArm.pkg"])
async def test_packages_of_the_agent_have_their_paths(stage, tmp_path, package):
    (tmp_path / package).write_bytes(b"package")
    api = await stage.cloud.gateway(package_folder=str(tmp_path))
    answer = await api("GET", f"/pkg/{package}")
    assert (answer.code, answer.raw) == (200, b"package")
