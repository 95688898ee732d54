"""Keys of users for the gateways of the checklist."""

from collections.abc import Callable
from typing import Any

from tests.clients.stage import Stage
from tests.tap import add_key, bearer, root, session

ADMIN = "/admin/api/v1/permission/group"


async def caller_of(stage: Stage, group: str, *permissions: str) -> Callable[..., Any]:
    """Calls to the gateway of permission groups by a key in a group that may do this."""
    wish = {"name": group, "permissions": permissions}
    assert (await root(stage.limited)("POST", ADMIN, wish)).body is None
    key = await add_key(stage.limited, f"key-of-{group}", group)
    data = await session(stage.limited, f"key-of-{group}", key)

    async def call(verb: str, path: str, body: Any = None) -> Any:
        return await stage.limited(verb, path, body, headers=bearer(data))

    return call
