"""The words that clients compare: states of an instance, of a VM, of a save, and messages."""

import pytest

from contracts.images import ImageState
from contracts.instances import InstanceState
from tests.clients.stage import MONITORED, SETTLED
from tests.integration.gateway.cloud import NODE, TEMPLATE, running
from tests.integration.gateway.owners import move_image

STATES = {
    "Scheduling": "everybody waits",
    "Pulling": "everybody waits; GitLab and GitHub Actions show progress as percent",
    "Started": "everybody goes on",
    "Error": "everybody gives up; GitHub Actions and TeamCity show the message",
    "Terminating": "Jenkins gives up, TeamCity calls it stopped",
    "Terminated": "as Terminating",
    "Stopping": "GitLab fails, Jenkins waits without a pause",
    "Stopped": "MCP fails, others as Stopping",
    "Pushing": "Jenkins keeps the node while it is saved",
}
"""What clients do on each word; another word would be one that nobody knows."""

MESSAGES = {
    "No such tag v99": (
        "Jenkins, TeamCity: start again without the tag",
        {"vmid": TEMPLATE, "tag": "v99"},
    ),
    "VM not in the registry": (
        "mgmtcl: looks the template up by its name",
        {"vmid": "0d9c8b7a-0000-4000-4000-000000000000"},
    ),
}
"""Message to what a client does of it, and the start that is answered with it."""

NOT_FOUND = {
    "instance": ("GET", "/vm?id=none", None),
    "instance to update": ("PUT", "/vm?id=none", {"name": "x"}),
    "instance to terminate": ("DELETE", "/vm", {"id": "none"}),
    "instance to restart": ("POST", "/rpc/vm/restart", {"instance_id": "none"}),
    "node": ("GET", "/node?id=none", None),
    "node to delete": ("DELETE", "/node", {"node_id": "none"}),
    "node to configure": ("POST", "/node/config", {"node_id": "none"}),
    "template": ("GET", "/registry/vm?id=none", None),
    "group to delete": ("DELETE", "/group?id=none", None),
    "save": ("GET", "/image?id=none", None),
    "distribution": ("GET", "/registry/vm/distribute?id=none", None),
    "distribution to cancel": ("DELETE", "/registry/vm/distribute?id=none", None),
}
"""What mgmtcl says is not there, and the call; a DELETE names it where that is documented."""


def test_the_states_are_these_and_no_others():
    assert set(STATES) == {state.value for state in InstanceState}


@pytest.mark.parametrize("state", STATES)
async def test_a_state_is_shown_by_its_word(stage, state):
    item = await stage.in_state(InstanceState(state))
    assert item["vm"]["instance_state"] == state


@pytest.mark.parametrize("message", MESSAGES)
async def test_a_message_that_is_compared_is_exact(api, message):
    _, wish = MESSAGES[message]
    assert (await api("POST", "/api/v1/vm", wish)).failure == message


@pytest.mark.parametrize("what", NOT_FOUND)
async def test_what_is_unknown_is_not_found(api, what):
    verb, path, body = NOT_FOUND[what]
    assert (await api(verb, f"/api/v1{path}", body)).failure == "Not found"


async def test_a_message_stays_when_the_instance_is_started_again(stage):
    (identity,) = await stage.api.start()
    message = 'Unexpected VM state: "stopped"'
    await stage.cloud.move(identity, state=InstanceState.STARTED, node_id=NODE, message=message)
    item = await stage.reaches(identity, "Started")
    assert item["vm"]["message"] == message


async def test_a_failed_script_is_told_by_its_exit_code_and_its_errors(stage):
    vm = (await stage.in_state(InstanceState.ERROR, **MONITORED))["vm"]
    assert vm["message"] == "startup script exit code 127"
    assert vm["startup_script"]["return_code"] == 127
    assert vm["startup_script"]["stderr"] == "sh: go: command not found\n"
    assert "errors" not in vm["startup_script"]


@pytest.mark.parametrize("word", ["running", "stopped", "suspended", "failed"])
async def test_the_status_of_a_vm_is_the_word_of_its_hypervisor(stage, word):
    (identity,) = await stage.api.start()
    given = SETTLED[InstanceState.STARTED] | {"vminfo": running(status=word)}
    await stage.cloud.move(identity, state=InstanceState.STARTED, **given)
    item = await stage.reaches(identity, "Started")
    assert item["vm"]["vminfo"]["status"] == word


@pytest.mark.parametrize("state", ImageState)
async def test_a_save_is_pending_done_or_error(stage, state):
    instance = (await stage.in_state(InstanceState.STARTED))["instance_id"]
    wish = {"id": instance, "target_vm_id": TEMPLATE, "tag": "v9"}
    identity = (await stage.api("POST", "/api/v1/image", wish)).body["request_id"]
    await move_image(stage.cloud.store, identity, state=state)
    shown = (await stage.api("GET", f"/api/v1/image?id={identity}")).body
    assert shown["status"] == state.value == state.name.lower()


async def test_the_licence_unlocks_groups(api):
    told = (await api("GET", "/api/v1/status")).body["license"]
    assert told not in {"", "basic"}
    assert told == told.lower()


async def test_a_drained_node_is_in_drain_mode(stage):
    await stage.cloud.add_node("to-be-drained")
    body = {"node_id": "to-be-drained", "drain_mode": True}
    assert (await stage.api("POST", "/api/v1/node/config", body)).body is None
    (node,) = (await stage.api("GET", "/api/v1/node?id=to-be-drained")).body
    assert node["state"] == "Drain Mode"
