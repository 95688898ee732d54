"""The controller's REST API, typed as far as the commands need it."""

from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from corral.root import credentials

_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)


class CloudError(Exception):
    """The controller said FAIL, or could not be reached; the text is its message."""


class _Answer(msgspec.Struct):
    status: str
    message: str = ""
    body: Any = None


class Cloud:
    """One controller. Use as an async context manager; raises CloudError."""

    def __init__(self, address: str, root_token: str = "") -> None:
        self.address = address.rstrip("/")
        self._credentials = credentials(root_token)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open."""
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT, headers=self._credentials)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, **query: str) -> Any:
        """The body of a GET."""
        return await self._call("GET", path, query, None)

    async def post(self, path: str, content: dict[str, Any]) -> Any:
        """The body of a POST."""
        return await self._call("POST", path, {}, content)

    async def delete(self, path: str, content: dict[str, Any] | None, **query: str) -> Any:
        """The body of a DELETE."""
        return await self._call("DELETE", path, query, content)

    async def start_vm(self, template: str, **wishes: Any) -> list[str]:
        """Start VMs of a template (its id); the instances' ids. A wish of None is left out."""
        given = {name: value for name, value in wishes.items() if value is not None}
        ids: list[str] = await self.post("/api/v1/vm", {"vmid": template} | given)
        return ids

    async def save_vm(self, instance: str, tag: str, **wishes: Any) -> str:
        """Save an instance as a tag; the request's id. A wish of None is left out."""
        given = {name: value for name, value in wishes.items() if value is not None}
        body = await self.post("/api/v1/image", {"id": instance, "tag": tag} | given)
        return str(body["request_id"])

    async def distribute(self, template: str, **wishes: Any) -> str:
        """Send a template (its id) to nodes; the request's id. A wish of None is left out."""
        given = {name: value for name, value in wishes.items() if value is not None}
        path = "/api/v1/registry/vm/distribute"
        return str((await self.post(path, {"template_id": template} | given))["request_id"])

    async def template_id(self, name: str) -> str:
        """The id of the template that is called so; ``name`` itself when none is."""
        for template in await self.get("/api/v1/registry/vm") or ():
            if template["name"] == name:
                return str(template["id"])
        return name

    async def stop_vm(self, instance: str) -> None:
        """Terminate an instance."""
        await self.delete("/api/v1/vm", {"id": instance})

    async def _call(
        self, method: str, path: str, query: dict[str, str], content: dict[str, Any] | None
    ) -> Any:
        assert self._session is not None
        try:
            async with self._session.request(
                method, self.address + path, params=query, json=content
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CloudError(f"{self.address} cannot be reached: {error}") from error
        try:
            answer = msgspec.json.decode(raw, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CloudError(f"{self.address}{path}: no answer of a controller") from error
        if answer.status != "OK":
            raise CloudError(answer.message or f"{path} failed")
        return answer.body
