"""The public API as a client of several gateways sees it."""

from collections.abc import Iterable
from typing import Any

import aiohttp

from tests.waiting import until

_LIMIT = aiohttp.ClientTimeout(total=30)


class Api:
    """Calls to ``gateways`` (addresses), of which ``gateway`` numbers one. Counts from 0."""

    def __init__(self, gateways: Iterable[str] = ()) -> None:
        self.gateways = list(gateways)
        self.template = ""
        self._http: aiohttp.ClientSession | None = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """The session, opened at the first use."""
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=_LIMIT)
        return self._http

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def call(
        self, method: str, path: str, body: Any = None, *, gateway: int = 0, **headers: str
    ) -> Any:
        """One call; the decoded envelope. Underscores in header names are dashes."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.gateways[gateway]}/api/v1/{path}"
        async with self.http.request(method, url, json=body, headers=names) as answer:
            return await answer.json()

    async def ok(self, method: str, path: str, body: Any = None, **given: Any) -> Any:
        """One call that must be OK; its body."""
        answer = await self.call(method, path, body, **given)
        assert answer["status"] == "OK", (method, path, answer)
        return answer.get("body")

    async def start(self, *, gateway: int = 0, **wish: Any) -> list[str]:
        """POST /vm with ``template`` unless another is wished; the ids."""
        ids: list[str] = await self.ok(
            "POST", "vm", {"vmid": self.template} | wish, gateway=gateway
        )
        return ids

    async def terminate(self, instance_id: str, *, gateway: int = 0) -> None:
        """DELETE /vm."""
        await self.ok("DELETE", "vm", {"id": instance_id}, gateway=gateway)

    async def show(self, instance_id: str, gateway: int = 0) -> dict[str, Any]:
        """GET /vm?id=; an empty dict when it is not found."""
        answer = await self.call("GET", f"vm?id={instance_id}", gateway=gateway)
        found: dict[str, Any] = answer.get("body") or {}
        return found

    async def states(self, gateway: int = 0) -> dict[str, str]:
        """GET /vm: instance id to public state."""
        listed = await self.ok("GET", "vm", gateway=gateway)
        return {item["instance_id"]: item["vm"]["instance_state"] for item in listed}

    async def nodes(self, gateway: int = 0) -> dict[str, dict[str, Any]]:
        """GET /node, by node id."""
        return {node["node_id"]: node for node in await self.ok("GET", "node", gateway=gateway)}

    async def reaches(
        self, ids: Iterable[str], state: str, limit: float = 20.0, gateway: int = 0
    ) -> None:
        """Wait until all of these show the state ("" for gone) in the list."""
        wanted = list(ids)
        others: dict[str, str] = {}

        async def there() -> bool:
            states = await self.states(gateway)
            others.clear()
            others.update({i: states.get(i, "") for i in wanted if states.get(i, "") != state})
            return not others

        try:
            await until(there, limit, every=0.05)
        except AssertionError as error:
            some = dict(list(others.items())[:10])
            raise AssertionError(f"{len(others)} not {state!r} in {limit} s: {some}") from error

    async def ready(self, nodes: int, limit: float = 30.0) -> None:
        """Wait until every gateway lists so many Active nodes, and a template if one is wanted."""

        async def known() -> bool:
            for number in range(len(self.gateways)):
                listed = (await self.nodes(number)).values()
                templates = await self.ok("GET", "registry/vm", gateway=number)
                if sum(node["state"] == "Active" for node in listed) < nodes:
                    return False
                if self.template and self.template not in {known["id"] for known in templates}:
                    return False
            return True

        await until(known, limit, every=0.05)
