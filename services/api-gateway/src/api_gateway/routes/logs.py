"""``/api/v1/log``: the registry's central logs and the files about failed VMs, passed through."""

from api_gateway.domain.vm_logs import check_name
from api_gateway.operation import ANY, JSON, operation
from api_gateway.public import envelope
from api_gateway.public.cloud import LogFile, ServiceLogs
from api_gateway.registry_logs import RegistryLogs
from api_gateway.requests.cloud import LogFileQuery, LogQuery, RangeHeader, ServiceQuery, VmLogQuery
from api_gateway.web import Call, Routes
from chassis.streams import EVENT_STREAM, Stream

_PARTS = {206: "The part of the file that ``Range`` asks for.", 416: "There is no such part."}


class LogRoutes:
    """Undocumented paths of ours: the documented UI shows logs, its calls are not known."""

    def __init__(self, logs: RegistryLogs) -> None:
        self._logs = logs

    def table(self) -> Routes:
        """Path to verb to function."""
        return {
            "/api/v1/log": {"GET": self.list},
            "/api/v1/log/stream": {"GET": self.stream},
            "/api/v1/log/file": {"GET": self.file},
            "/api/v1/log/archive": {"GET": self.archive},
            "/api/v1/log/vm": {"GET": self.vm},
        }

    @operation(tuple[ServiceLogs, ...], query=ServiceQuery)
    async def list(self, call: Call) -> bytes:
        """Every service with its files, or one ``service``."""
        query = _given(call, "service")
        return envelope.ok(await self._logs.read("/log/files", query, call.request_id))

    @operation(str, query=LogQuery, media=(EVENT_STREAM,))
    async def stream(self, call: Call) -> Stream:
        """The last ``lines`` of a service, then new ones as they come: server-sent events."""
        return await self._open(call, "/log", "lines", service=call.required_query("service"))

    @operation(str, query=LogFileQuery, headers=RangeHeader, media=(ANY,), codes=_PARTS)
    async def file(self, call: Call) -> Stream:
        """A ``file`` of a service (the newest), or its last ``lines``."""
        service = call.required_query("service")
        return await self._open(call, "/log/file", "file", "lines", service=service)

    @operation(str, query=ServiceQuery, headers=RangeHeader, media=(ANY,), codes=_PARTS)
    async def archive(self, call: Call) -> Stream:
        """Everything of a ``service``, or of all, as a tar.gz."""
        return await self._open(call, "/log/archive", "service")

    @operation(
        tuple[LogFile, ...], query=VmLogQuery, headers=RangeHeader, media=(JSON, ANY), codes=_PARTS
    )
    async def vm(self, call: Call) -> bytes | Stream:
        """The files about the VM with the uuid ``id``, or the one of this ``name``."""
        vm, name = call.required_query("id"), call.query("name")
        check_name("id", vm)
        if name is not None:
            check_name("name", name)
            return await self._open(call, f"/files/logs/{vm}/{name}")
        return envelope.ok(await self._logs.read(f"/files/logs/{vm}", {}, call.request_id))

    async def _open(self, call: Call, path: str, *optional: str, **query: str) -> Stream:
        query |= _given(call, *optional)
        wanted = call.header("Range") or ""
        return await self._logs.open(path, query, call.request_id, wanted)


def _given(call: Call, *names: str) -> dict[str, str]:
    return {name: value for name in names if (value := call.query(name)) is not None}
