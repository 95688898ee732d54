"""A private RabbitMQ node: own name, ports, cookie and epmd, all on loopback."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from chassis.servers.process import Group, MissingServer, free_port, until_ready

DEFAULT_TREE = Path(".local/rabbitmq")
"""Where ``make test-programs`` unpacks RabbitMQ, seen from the checkout's root."""

_WRAPPER = "rabbitmq-script-wrapper"
_SCRIPT = "rabbitmq-server"
_START_LIMIT = 90.0
_STOP_LIMIT = 30.0
_PROTOCOL = b"AMQP\x00\x00\x09\x01"
_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
num_acceptors.tcp = 2
log.console = false
log.file.level = warning
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 1GB
"""
_MANAGEMENT = """\
management.tcp.ip = 127.0.0.1
management.tcp.port = {port}
"""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """RabbitMQ's own start script (never the wrapper in sbin, which drops the environment).

    ``path`` and ``libraries`` go before PATH and LD_LIBRARY_PATH.
    """

    script: Path
    path: tuple[Path, ...] = ()
    libraries: tuple[Path, ...] = ()

    def environment(self) -> dict[str, str]:
        """PATH and LD_LIBRARY_PATH with which the script finds its Erlang."""
        path = os.pathsep.join([*map(str, self.path), os.environ.get("PATH", os.defpath)])
        found = {"PATH": path}
        if self.libraries:
            found["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, self.libraries))
        return found


class RabbitServer:
    """One node on ``folder``, where its data stays; ends with this process.

    ``script`` names a start script; else it is looked for: see ``find_rabbitmq``.
    ``management``: with the HTTP API, which tests use to make virtual hosts and break things.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        script: Path | None = None,
        tree: Path = DEFAULT_TREE,
        management: bool = False,
    ) -> None:
        self._folder = folder.absolute()
        self._script = script
        self._tree = tree
        self._group = Group(self._folder)
        self._management_port = free_port() if management else 0
        self.port = port or free_port()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def management_url(self) -> str:
        """Root of the management API, with the credentials; only with ``management``."""
        return f"http://guest:guest@127.0.0.1:{self._management_port}/api"

    @property
    def pid(self) -> int | None:
        """The process id of the Erlang machine while it runs."""
        return self._group.pid

    async def start(self) -> None:
        """Start and return when it speaks AMQP. MissingServer, ServerFailed."""
        program = find_rabbitmq(self._script, self._tree)
        for name in ("home", "mnesia", "log"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self._write_configuration()
        epmd_port, dist_port = free_port(), free_port()
        env = self._environment(program, epmd_port, dist_port)
        log = self._folder / "rabbitmq.out"
        # Started by us and in the foreground: Erlang's own start would leave a daemon behind.
        self._group.spawn([_epmd(env), "-port", str(epmd_port)], env, log)
        self._group.spawn([program.script], env, log)
        try:
            await until_ready("rabbitmq-server", self._group, (log,), _START_LIMIT, self._speaks)
        except BaseException:
            self._group.kill()
            raise

    async def stop(self) -> None:
        """End it cleanly."""
        await self._group.stop(_STOP_LIMIT)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._group.kill()

    def _write_configuration(self) -> None:
        config, plugins = _CONFIG.format(port=self.port), ""
        if self._management_port:
            config += _MANAGEMENT.format(port=self._management_port)
            plugins = "rabbitmq_management"
        (self._folder / "rabbitmq.conf").write_text(config)
        (self._folder / "advanced.config").write_text("[].\n")
        (self._folder / "enabled_plugins").write_text(f"[{plugins}].\n")
        (self._folder / "env.conf").write_text("")

    def _environment(self, program: Program, epmd_port: int, dist_port: int) -> Mapping[str, str]:
        base = self._folder
        return program.environment() | {
            "HOME": f"{base}/home",
            "LANG": "C.UTF-8",
            # The name is part of the data; nobody else is known to this node's own epmd.
            "RABBITMQ_NODENAME": "corral@localhost",
            "RABBITMQ_MNESIA_BASE": f"{base}/mnesia",
            "RABBITMQ_LOG_BASE": f"{base}/log",
            "RABBITMQ_CONF_ENV_FILE": f"{base}/env.conf",
            "RABBITMQ_CONFIG_FILE": f"{base}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{base}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{base}/enabled_plugins",
            "RABBITMQ_FEATURE_FLAGS_FILE": f"{base}/feature_flags",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{base}/generated",
            "RABBITMQ_PID_FILE": f"{base}/beam.pid",
            # The script then becomes the Erlang machine instead of a shell that waits for it.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_DIST_PORT": str(dist_port),
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": f"{base}/crash.dump",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false"
                " +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
            ),
        }

    async def _speaks(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(_PROTOCOL)
            answer = await asyncio.wait_for(reader.read(1), 5)
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        return answer == b"\x01"


def find_rabbitmq(
    script: Path | None = None, tree: Path = DEFAULT_TREE, path: str | None = None
) -> Program:
    """The given script, else the one unpacked into ``tree``, else the installed package's.

    ``path`` is where to look for the last, PATH and ``/usr/sbin`` unless given. MissingServer
    tells the remedy.
    """
    if script is not None:
        return Program(script=script)
    root = tree.absolute() / "usr/lib"
    unpacked = root / "rabbitmq/bin" / _SCRIPT
    if unpacked.exists():
        return Program(
            script=unpacked,
            path=(root / "erlang/bin",),
            libraries=tuple(root.glob("*-linux-gnu*")),
        )
    found = shutil.which(_SCRIPT, path=path or f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if found is not None:
        real = Path(found).resolve()
        return Program(script=real.with_name(_SCRIPT) if real.name == _WRAPPER else real)
    raise MissingServer(
        f"no RabbitMQ in {tree} nor installed: run `make test-programs`"
        f" (or `deploy/setup/unpack-rabbitmq.sh {tree}`)"
    )


def _epmd(env: Mapping[str, str]) -> str:
    found = shutil.which("epmd", path=env["PATH"])
    if found is None:
        raise MissingServer("RabbitMQ is there but Erlang's epmd is not: run `make test-programs`")
    return found
