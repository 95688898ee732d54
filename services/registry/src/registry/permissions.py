"""Which permissions open each call to the registry, by their documented names. Any one does.

A call without a line is root's. A test holds that every route has its line.
"""

from collections.abc import Mapping

from chassis.auth.groups import Label, ResourceType

OPEN = "open"
"""Nobody is asked who they are."""

ANYBODY = "anybody"
"""Who is known may, without any permission."""

ROOTS = "root"
"""Nobody but root may."""

ADMIN = ("/admin/api/v1/permission", "/admin/v1/api/permission")
"""Both spellings of the API page."""

LIST = "list"
"""What must be granted on a template to see it."""

Lines = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Path to verb to permissions, any one of which does."""

_READ = ("pull_vm", "download_vm")
_LOOK = (*_READ, "head_push_vm", "push_vm")
_GROUPS = ("view_prmission_groups",)
_UPDATE = ("update_permission_groups",)

_ADMIN_NEEDS: Lines = {
    "": {"GET": ("view_permissions",)},
    "/resources/permissions": {"GET": ("view_permissions",)},
    "/group": {"GET": _GROUPS, "POST": _UPDATE},
    "/group/{name}": {
        "GET": _GROUPS,
        "POST": _UPDATE,
        "PUT": _UPDATE,
        "DELETE": ("delete_permission_groups",),
    },
    "/group/{name}/resources": {"GET": _GROUPS, "POST": _UPDATE},
}

NEEDS: Lines = {
    "/livez": {"GET": (OPEN,)},
    "/readyz": {"GET": (OPEN,)},
    "/tap/v1/hand": {"POST": (OPEN,)},
    "/tap/v1/shake": {"POST": (OPEN,)},
    "/": {"GET": ("index",)},
    "/v2": {"GET": (ANYBODY,)},
    "/v2/": {"GET": (ANYBODY,)},
    "/v2/{name}/blobs/uploads": {"POST": ("push_vm",)},
    "/v2/{name}/blobs/uploads/": {"POST": ("push_vm",)},
    "/v2/{name}/blobs/uploads/{upload}": dict.fromkeys(
        ("GET", "PATCH", "PUT", "DELETE"), ("push_vm",)
    ),
    "/v2/{name}/blobs/{digest}": {"GET": _READ, "HEAD": _LOOK, "DELETE": ("delete_vm",)},
    "/v2/{name}/manifests/{reference}": {
        "GET": _READ,
        "HEAD": _LOOK,
        "PUT": ("push_vm",),
        "DELETE": ("delete_vm",),
    },
    "/v2/{name}/tags/list": {"GET": ("list_vms", *_READ)},
    "/v2/{name}/referrers/{digest}": {"GET": ("list_vms", *_READ)},
    "/registry/status": {"GET": (ANYBODY,)},
    "/registry/disk": {"GET": ("get_disk_info",)},
    "/registry/vm": {"GET": ("list_vms",), "DELETE": ("delete_vm",)},
    "/registry/v2/vm": {"GET": ("list_vms",)},
    "/registry/vm/info": {"GET": ("list_vms",)},
    "/registry/peers": {"GET": _READ},
    "/registry/revert": {"DELETE": ("revert",)},
    "/registry/vm/arch": {"PUT": ("push_vm",)},
    "/log": {"GET": ("stream_log",), "POST": ("send_log",)},
    "/log/files": {"GET": ("get_streamer", "stream_log", "get_log_archive")},
    "/log/file": {"GET": ("stream_log", "get_log_archive")},
    "/log/archive": {"GET": ("get_log_archive",)},
    "/files/logs/{vm}": {"GET": ("download_file",)},
    "/files/logs/{vm}/": {"GET": ("download_file",)},
    "/files/logs/{vm}/{name}": {"GET": ("download_file",), "PUT": ("upload_file",)},
    "/v1/apikey": {
        "GET": ("get_api_key",),
        "POST": ("create_api_key",),
        "PUT": ("update_api_key",),
        "DELETE": ("delete_api_key",),
    },
    **{root + path: needs for root in ADMIN for path, needs in _ADMIN_NEEDS.items()},
}

PULL, _PUSH = ("pull",), ("push_tag",)
_EITHER = (*PULL, *_PUSH)
_PUSHING = dict.fromkeys(("GET", "POST", "PATCH", "PUT", "DELETE"), _PUSH)

GRANTS: Lines = {
    "/v2/{name}/blobs/uploads": _PUSHING,
    "/v2/{name}/blobs/uploads/": _PUSHING,
    "/v2/{name}/blobs/uploads/{upload}": _PUSHING,
    "/v2/{name}/blobs/{digest}": {"GET": PULL, "HEAD": _EITHER, "DELETE": ("delete_revert",)},
    "/v2/{name}/manifests/{reference}": {
        "GET": PULL,
        "HEAD": _EITHER,
        "PUT": _PUSH,
        "DELETE": ("delete_revert",),
    },
    "/v2/{name}/tags/list": {"GET": (LIST, *_EITHER)},
    "/v2/{name}/referrers/{digest}": {"GET": (LIST, *_EITHER)},
    "/registry/vm": {"GET": (LIST,), "DELETE": ("delete_revert",)},
    "/registry/v2/vm": {"GET": (LIST,)},
    "/registry/vm/info": {"GET": ("get_config",)},
    "/registry/revert": {"DELETE": ("delete_revert",)},
    "/registry/vm/arch": {"PUT": ("set_arch",)},
}
"""What must be granted on the template that a call is about; any one does."""

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Templates": {
        "list_vms": "List Templates",
        "head_push_vm": "Check Before Push",
        "push_vm": "Push Template",
        "pull_vm": "Pull Template",
        "download_vm": "Download Template Files",
        "delete_vm": "Delete Template",
        "revert": "Revert Template",
    },
    "Registry": {"index": "Index Page", "get_disk_info": "Get Disk Information"},
    "Files": {"upload_file": "Upload Files", "download_file": "Download Files"},
    "Central Logging": {
        "get_streamer": "Log Streamer",
        "stream_log": "Stream Log",
        "get_log_archive": "Get Log Archive",
        "send_log_event": "Send Log Events",
        "send_log": "Send Logs",
    },
    "Permissions": {
        "view_permissions": "View Permissions",
        "view_prmission_groups": "View Permission Groups",
        "update_permission_groups": "Update Permission Groups",
        "delete_permission_groups": "Delete Permission Groups",
    },
    "API Keys": {
        "create_api_key": "Create",
        "get_api_key": "List",
        "update_api_key": "Update",
        "delete_api_key": "Delete",
    },
}
"""Every permission a group can have and its label, as people see them together."""

KNOWN = frozenset(name for section in SECTIONS.values() for name in section)


def _template(label: str, description: str = "") -> Label:
    return Label(label=label, description=description or label)


GRANTABLE = ResourceType(
    resource_type="template",
    permissions={
        "delete_revert": _template("Delete and/or Revert Template"),
        "get_config": _template("Get Template Configuration"),
        "list": _template("List Template"),
        "pull": _template("Pull Template"),
        "push_tag": _template("Push Template Tag"),
        "save_image": _template("Save Image Target", "Target Template for Save Image"),
        "set_arch": _template("Set Template Architecture"),
    },
)
"""What can be granted on a single template, as documented."""
