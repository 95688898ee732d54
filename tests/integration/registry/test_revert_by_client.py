"""What the client makes of the registry's answers to a revert."""

from contracts.artifacts import template_id_of
from tests.registries import push, qcow2, qcow2_over


async def test_a_revert_says_whether_there_was_anything_to_revert(client):
    layer = qcow2()
    await push(client, "a", "v1", [layer])
    await push(client, "a", "v2", [layer, qcow2_over(layer)])
    assert await client.revert(template_id_of("a"), 1)
    assert not await client.has_manifest("a", "v2")
    assert not await client.revert(template_id_of("a"), 1)
    assert await client.has_manifest("a", "v1")


async def test_a_revert_of_a_template_that_is_not_there_reverts_nothing(client):
    assert not await client.revert(template_id_of("nobody"), 0)
