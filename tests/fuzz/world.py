"""A whole cloud with something of everything in it, so that calls by chance meet what is there."""

import random
from typing import Any

import requests

Json = Any

_BY_FIELD = {
    "vmid": "template",
    "template_id": "template",
    "target_vm_id": "template",
    "template": "template",
    "node_id": "node",
    "node_ids": "node",
    "group_id": "group",
    "group_ids": "group",
    "fallback_group_id": "group",
    "instance_id": "instance",
    "ids": "instance",
    "pool": "pool",
}
_BY_PATH = {
    "/api/v1/vm": "instance",
    "/api/v1/vm/explain": "instance",
    "/api/v1/rpc/vm/restart": "instance",
    "/api/v1/node": "node",
    "/api/v1/group": "group",
    "/api/v1/registry/vm/remove": "template",
    "/api/v1/registry/vm/distribute": "distribution",
    "/api/v1/image": "image",
    "/api/v1/pool": "pool",
    "/api/v1/webhook": "webhook",
    "/api/v1/webhook/rotate": "webhook",
    "/api/v1/webhook/test": "webhook",
    "/api/v1/webhook/replay": "webhook",
    "/api/v1/webhook/deliveries": "webhook",
}
"""What ``id`` names; but for the calls that take the one template away."""

_ARRAYS = frozenset({"node_ids", "group_ids", "ids"})
_OFTEN = 0.6
_FEW = 3


class World:
    """The ids of what is there; ``refresh`` makes anew what calls have ended."""

    def __init__(self, address: str, root_token: str) -> None:
        self.address = address
        self.http = requests.Session()
        self.http.auth = (b"root", root_token.encode())
        self.known: dict[str, list[str]] = {}

    def ask(self, verb: str, path: str, body: Json = None) -> Json:
        """The body of an answer that must be a success."""
        url = self.address + path
        with self.http.request(verb, url, json=body, timeout=30) as answer:
            told = answer.json()
            assert told["status"] == "OK", (verb, path, told)
            return told.get("body")

    def is_ready(self) -> bool:
        """What the probe says."""
        return self.http.get(f"{self.address}/readyz", timeout=30).ok

    def refresh(self) -> None:
        """Look what there is, and have at least one of each kind."""
        self._take("template", "/api/v1/registry/vm", "id")
        self._take("node", "/api/v1/node", "node_id")
        vmid = self.known["template"][0]
        start = {"vmid": vmid}
        self._have("instance", "/api/v1/vm", "instance_id", start)
        self._have("group", "/api/v1/group", "id", {"name": "group"})
        self._have("pool", "/api/v1/pool", "id", {"name": "pool", "vmid": vmid, "size": 0})
        self._have("webhook", "/api/v1/webhook", "id", {"url": "http://127.0.0.1:9/hook"})
        self._have(
            "distribution", "/api/v1/registry/vm/distribute", "request_id", {"template_id": vmid}
        )
        self._take("image", "/api/v1/image", "id")

    def put_in(self, path: str, given: Json, chance: random.Random) -> None:
        """Name what is there in many of the places where something is named; start few at once."""
        if isinstance(given, list):
            for item in given:
                self.put_in(path, item, chance)
        if not isinstance(given, dict):
            return
        for name, value in list(given.items()):
            kind = _BY_PATH.get(path) if name == "id" else _BY_FIELD.get(name)
            if self.known.get(kind or "") and chance.random() < _OFTEN:
                some = chance.choice(self.known[kind or ""])
                given[name] = [some] if name in _ARRAYS else some
            elif name in {"count", "size"} and isinstance(value, int) and value > _FEW:
                given[name] = _FEW
            elif name == "wait" and value is not None:
                given[name] = "0"

    def _take(self, kind: str, path: str, name: str) -> None:
        found = self.ask("GET", path) or []
        self.known[kind] = [item.get("request", item).get(name, item.get(name)) for item in found]

    def _have(self, kind: str, path: str, name: str, body: Json) -> None:
        self._take(kind, path, name)
        if not self.known[kind]:
            self.ask("POST", path, body)
            self._take(kind, path, name)
