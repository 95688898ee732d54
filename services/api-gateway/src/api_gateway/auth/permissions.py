"""Which permission each call needs, by its documented name. A call without a line is root's.

A test holds that every route has its line.
"""

from collections.abc import Mapping

from chassis.auth.groups import Label, ResourceType

OPEN = "open"
"""Nobody is asked who they are."""

ANYBODY = "anybody"
"""Who is known may, without any permission."""

ROOTS = "root"
"""Nobody but root may, and whoever may everything."""

ADMIN = ("/admin/api/v1/permission", "/admin/v1/api/permission")
"""Both spellings of the API page."""

_ADMIN_NEEDS: Mapping[str, Mapping[str, str]] = {
    "": {"GET": "view_permissions"},
    "/resources/permissions": {"GET": "view_permissions"},
    "/group": {"GET": "view_prmission_groups", "POST": "update_permission_groups"},
    "/group/{name}": {
        "GET": "view_prmission_groups",
        "POST": "update_permission_groups",
        "PUT": "update_permission_groups",
        "DELETE": "delete_permission_groups",
    },
    "/group/{name}/resources": {
        "GET": "view_prmission_groups",
        "POST": "update_permission_groups",
    },
}

NEEDS: Mapping[str, Mapping[str, str]] = {
    "/livez": {"GET": OPEN},
    "/readyz": {"GET": OPEN},
    "/openapi.json": {"GET": OPEN},
    "/asyncapi.json": {"GET": OPEN},
    "/docs": {"GET": OPEN},
    "/docs/{file}": {"GET": OPEN},
    "/pkg/AnkaAgent.pkg": {"GET": ANYBODY},
    "/pkg/AnkaAgentArm.pkg": {"GET": ANYBODY},
    "/config/v1/auth": {"GET": OPEN},
    "/tap/v1/hand": {"POST": OPEN},
    "/tap/v1/shake": {"POST": OPEN},
    "/api/v1/status": {"GET": ANYBODY},
    "/api/v1/vm": {
        "GET": "list_vms",
        "POST": "start_vm",
        "PUT": "update_vm",
        "DELETE": "terminate_vm",
    },
    "/api/v1/vm/explain": {"GET": "list_vms"},
    "/api/v1/rpc/vm/restart": {"POST": "start_vm"},
    "/api/v1/node": {"GET": "list_nodes", "DELETE": "delete_node"},
    "/api/v1/node/update": {"PUT": "change_node_config"},
    "/api/v1/usb": {"GET": "list_nodes"},
    "/api/v1/vlan": {"GET": "list_nodes"},
    "/api/v1/macaddr": dict.fromkeys(("GET", "PUT", "DELETE"), "mac_address"),
    "/api/v1/config": {"GET": "get_config", "PUT": "change_config"},
    "/api/v1/stats": {"GET": ANYBODY},
    "/api/v1/node/config": {"POST": "change_node_config"},
    "/api/v1/node/group": {"POST": "add_node_to_group", "DELETE": "remove_group_from_node"},
    "/api/v1/group": {
        "GET": "get_groups",
        "POST": "create_group",
        "PUT": "update_group",
        "DELETE": "delete_group",
    },
    "/api/v1/registry/vm": {"GET": "registry_list", "DELETE": "registry_delete"},
    "/api/v1/registry/revert": {"DELETE": "registry_delete"},
    "/api/v1/registry/disk": {"GET": "get_registry_disk_info"},
    "/api/v1/registry/vm/remove": {"DELETE": "delete_template_from_nodes"},
    "/api/v1/registry/vm/distribute": {
        "GET": "registry_distribute_status",
        "POST": "registry_distribute",
        "DELETE": "registry_distribute",
    },
    "/api/v1/image": {"GET": "list_images", "POST": "save_image"},
    "/api/v1/pool": {
        "GET": "get_config",
        "POST": "change_config",
        "PUT": "change_config",
        "DELETE": "change_config",
    },
    "/api/v1/webhook": {
        "GET": "get_config",
        "POST": "change_config",
        "PUT": "change_config",
        "DELETE": "change_config",
    },
    "/api/v1/webhook/rotate": {"POST": "change_config"},
    "/api/v1/webhook/test": {"POST": "change_config"},
    "/api/v1/webhook/replay": {"POST": "change_config"},
    "/api/v1/webhook/deliveries": {"GET": "get_config"},
    "/api/v1/event": {"GET": "view_logs"},
    "/api/v1/events": {"GET": "view_logs"},
    "/api/v1/event/export": {"GET": "view_logs"},
    "/api/v1/log": {"GET": "view_logs"},
    "/api/v1/log/stream": {"GET": "view_logs"},
    "/api/v1/log/file": {"GET": "view_logs"},
    "/api/v1/log/archive": {"GET": "view_logs"},
    "/api/v1/log/vm": {"GET": "get_registry_files"},
    "/api/v1/apikey": {
        "GET": "get_api_key",
        "POST": "create_api_key",
        "PUT": "update_api_key",
        "DELETE": "delete_api_key",
    },
    **{root + path: needs for root in ADMIN for path, needs in _ADMIN_NEEDS.items()},
}

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Instances": {
        "list_vms": "List",
        "start_vm": "Start",
        "update_vm": "Modify Instance Metadata",
        "terminate_vm": "Terminate",
    },
    "Nodes": {
        "list_nodes": "List Nodes",
        "delete_node": "Remove Node",
        "change_node_config": "Modify Config",
        "delete_template_from_nodes": "Delete Template From Nodes",
    },
    "Distribute": {
        "registry_distribute": "Create Request",
        "registry_distribute_status": "List",
    },
    "Save Image": {"save_image": "Create Request", "list_images": "List"},
    "Node Groups": {
        "add_node_to_group": "Add Node to Node Group",
        "remove_group_from_node": "Remove Node from Node Group",
        "create_group": "Create",
        "get_groups": "List",
        "delete_group": "Delete",
        "update_group": "Update",
    },
    "Registry Passthrough": {
        "registry_list": "List Registry Templates",
        "registry_delete": "Delete Registry Template",
        "get_registry_disk_info": "Get Registry Disk Information",
        "get_registry_files": "Registry File Server",
        "view_logs": "Registry Central Logging",
    },
    "Config": {"get_config": "Get Config", "change_config": "Change Config"},
    "Permissions": {
        "view_permissions": "View Permissions",
        "view_prmission_groups": "View Permission Groups",
        "update_permission_groups": "Update Permission Groups",
        "delete_permission_groups": "Delete Permission Groups",
    },
    "MAC": {"mac_address": "Manage MAC Addresses"},
    "API Keys": {
        "create_api_key": "Create",
        "get_api_key": "List",
        "update_api_key": "Update",
        "delete_api_key": "Delete",
    },
}
"""Every permission a group can have, with its documented label, as people see them together."""

KNOWN = frozenset(name for section in SECTIONS.values() for name in section)


def _node(label: str) -> Label:
    return Label(label=label, description=label)


NODE = ResourceType(
    resource_type="node",
    permissions={
        "change_config": _node("Change Node Configuration"),
        "create_instance": _node("Create Instance"),
        "delete_template": _node("Delete Template from Node"),
        "distribute": _node("Distribute Template to Node"),
        "force_upgrade": _node("Force Node Upgrade"),
        "list": _node("List Node"),
        "remove": _node("Remove Node"),
    },
)
"""What can be granted on a single node."""
