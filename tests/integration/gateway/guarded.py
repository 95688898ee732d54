"""A gateway that asks who its callers are."""

from typing import Any

from tests.integration.gateway.cloud import Api, Cloud
from tests.tap import ROOT_TOKEN

KEYS_ON = {"enable_auth": True, "root_token": ROOT_TOKEN, "enable_api_keys": True}
GROUPS_ON = KEYS_ON | {"enable_controller_authorization": True}
ALL_ON = GROUPS_ON | {"enable_resource_management": True}


async def guarded(cloud: Cloud, **settings: Any) -> Api:
    """A gateway with a template and a node that knows keys."""
    await cloud.add_template()
    await cloud.add_node()
    return await cloud.gateway(**(KEYS_ON | settings))
