"""The chapters of the document."""

from collections.abc import Mapping

TAGS: Mapping[str, str] = {
    "Instances": "VMs: start, look, label, restart, end.",
    "Nodes": "Hosts, and what they are set to.",
    "Node groups": "Which nodes belong together.",
    "Templates": "What the registry holds, and what nodes keep of it.",
    "Saves": "Instances saved as tags or templates.",
    "Pools": "VMs that wait for whoever needs one (ours).",
    "Events": "The event log (ours).",
    "Webhooks": "Receivers of events (ours).",
    "Logs": "The registry's central logs (ours).",
    "Access": "Logins, keys, permission groups.",
    "Cloud": "Status, settings, figures, shared resources.",
    "Description": "This document, and the probes.",
}

_CHAPTERS: Mapping[str, str] = {
    "/": "Description",
    "/admin/": "Access",
    "/api/v1/apikey": "Access",
    "/api/v1/config": "Cloud",
    "/api/v1/event": "Events",
    "/api/v1/group": "Node groups",
    "/api/v1/image": "Saves",
    "/api/v1/log": "Logs",
    "/api/v1/macaddr": "Cloud",
    "/api/v1/node": "Nodes",
    "/api/v1/node/group": "Node groups",
    "/api/v1/pool": "Pools",
    "/api/v1/registry/": "Templates",
    "/api/v1/rpc/vm": "Instances",
    "/api/v1/stats": "Cloud",
    "/api/v1/status": "Cloud",
    "/api/v1/usb": "Cloud",
    "/api/v1/vlan": "Cloud",
    "/api/v1/vm": "Instances",
    "/api/v1/webhook": "Webhooks",
    "/config/": "Access",
    "/pkg/": "Nodes",
    "/tap/": "Access",
}


def tag_of(path: str) -> str:
    """The chapter of a path: that of the longest beginning."""
    return _CHAPTERS[max(filter(path.startswith, _CHAPTERS), key=len)]
