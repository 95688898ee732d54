"""Updating agents: the wish for every node, and the packages that they may fetch."""

from pathlib import Path

import pytest

from contracts.nodes import ConfigureNode, NodeDocument, NodeState
from tests.integration.gateway.cloud import NODE, Api, Cloud
from tests.waiting import until


async def test_every_node_is_wished_the_controller_s_version(api: Api, cloud: Cloud):
    await cloud.add_node("second")
    assert (await api("PUT", "/api/v1/node/update")).json == {"status": "OK", "message": ""}
    version = (await api("GET", "/api/v1/status")).body["version"]
    stored = await cloud.store.find("nodes", NodeDocument, {})
    assert {(n.spec.upgrades, n.spec.upgrade_to, n.pending) for n in stored} == {(1, version, True)}
    await until(lambda: len(cloud.said(ConfigureNode)) == 2)
    assert {said.node_id for said in cloud.said(ConfigureNode)} == {NODE, "second"}
    assert (await api("PUT", "/api/v1/node/update")).body is None
    stored = await cloud.store.find("nodes", NodeDocument, {})
    assert {(n.spec.upgrades, n.generation) for n in stored} == {(2, 3)}


async def test_a_cloud_without_nodes_has_nothing_to_update(cloud: Cloud):
    bare = await cloud.gateway()
    assert (await bare("PUT", "/api/v1/node/update")).body is None


async def test_a_node_shows_that_it_is_updating_and_what_came_of_it(cloud: Cloud):
    await cloud.add_node(NODE)
    await cloud.store.change(
        "nodes",
        NodeDocument,
        {"_id": NODE},
        {"$set": {"status.state": NodeState.UPDATING, "status.upgrade_error": "by hand"}},
    )
    api = await cloud.gateway()
    [node] = (await api("GET", "/api/v1/node")).body
    assert (node["state"], node["update_error"]) == ("Updating", "by hand")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "AnkaAgent.pkg").write_bytes(bytes(range(256)) * 4096)
    (folder / "secret.pkg").write_bytes(b"x")
    return folder


async def test_packages_are_served_whole_and_in_parts(cloud: Cloud, folder: Path):
    api = await cloud.gateway(package_folder=str(folder))
    whole = await api("GET", "/pkg/AnkaAgent.pkg")
    assert (whole.code, whole.raw) == (200, (folder / "AnkaAgent.pkg").read_bytes())
    part = await api("GET", "/pkg/AnkaAgent.pkg", headers={"Range": "bytes=256-259"})
    assert (part.code, part.raw) == (206, bytes(range(4)))
    head = await api("HEAD", "/pkg/AnkaAgent.pkg")
    assert (head.code, head.headers["Content-Length"]) == (200, str(1 << 20))


@pytest.mark.parametrize(
    "path", ["/pkg/AnkaAgentArm.pkg", "/pkg/secret.pkg", "/pkg/../secret.pkg", "/pkg/"]
)
async def test_nothing_else_is_served(cloud: Cloud, folder: Path, path):
    api = await cloud.gateway(package_folder=str(folder))
    answer = await api("GET", path)
    assert (answer.code, answer.json["status"]) == (404, "FAIL")


async def test_without_a_folder_there_are_no_packages(api: Api):
    answer = await api("GET", "/pkg/AnkaAgent.pkg")
    assert answer.code == 404
    assert answer.json["message"] == "no package AnkaAgent.pkg on this controller"
