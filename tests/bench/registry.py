"""The registry as a server of files: `make bench-registry ARGS="--mib 1024"`.

A registry and a gateway as processes of their own on a private mongod and RabbitMQ. One large blob
is pushed, then fetched by curl in turns from the registry and from an nginx that serves the very
same file; then by many at once. Thousands of templates are listed. The last line is one JSON
object; nothing is asserted on time.
"""

import argparse
import asyncio
import hashlib
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil
import uvloop

from chassis.servers.process import Group
from chassis.store.mongo import MongoStore
from contracts.templates import TemplateDocument, Version
from corral.registry import RegistryClient
from registry.store import TEMPLATES
from tests.bench.facts import machine_facts
from tests.bench.http_load import percentiles
from tests.ports import free_port
from tests.processes import Cloud, running_cloud
from tests.servers import ROOT, fresh_vhost, mongo_server, rabbit_server
from tests.waiting import until

_MIB = 1 << 20
_REPOSITORY = "bench"
_DATABASE = "bench"
_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off; sendfile on; sendfile_max_chunk 2m; tcp_nopush on;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


class Memory:
    """Resident memory of a process: at rest, and the most while something goes on."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.idle = self._now()
        self.most = self.idle

    async def watch(self, work: Awaitable[float]) -> float:
        """Wait for the work, looking many times a second."""
        task = asyncio.ensure_future(work)
        while not task.done():
            self.most = max(self.most, self._now())
            await asyncio.wait({task}, timeout=0.05)
        return task.result()

    def _now(self) -> int:
        return self._process.memory_info().rss // _MIB


class Bench:
    """One run on running services."""

    def __init__(
        self, chosen: argparse.Namespace, cloud: Cloud, mongodb_url: str, folder: Path
    ) -> None:
        self.chosen = chosen
        self.cloud = cloud
        self.mongodb_url = mongodb_url
        self.folder = folder
        self.memory = Memory(cloud.pid("registry"))
        self.size = chosen.mib * _MIB

    async def run(self) -> dict[str, object]:
        """The figures."""
        file = self._large_file()
        async with RegistryClient(self.cloud.registry_url) as client:
            self.blob, pushed = await self._push(client, file)
        stored = self.folder / "registry/blobs/blobs/sha256" / self.blob[7:9] / self.blob[7:]
        url = f"{self.cloud.registry_url}/v2/{_REPOSITORY}/blobs/{self.blob}"
        with nginx(self.folder / "nginx", stored.parent) as address:
            pairs = [
                (await self._get(url), await self._get(f"{address}/{stored.name}"))
                for _ in range(self.chosen.rounds)
            ]
        ours = statistics.median(pair[0] for pair in pairs)
        theirs = statistics.median(pair[1] for pair in pairs)
        ratio = statistics.median(pair[0] / pair[1] for pair in pairs)
        print(f"GET {ours:.0f} MiB/s, nginx {theirs:.0f} MiB/s, ratio {ratio:.2f}")
        together = await self.memory.watch(self._many(url))
        print(f"{self.chosen.parallel} at once: {together:.0f} MiB/s")
        return {
            "push_mib_s": round(pushed),
            "get_mib_s": round(ours),
            "nginx_mib_s": round(theirs),
            "get_ratio_to_nginx": round(ratio, 3),
            "parallel_pulls": self.chosen.parallel,
            "parallel_mib_s": round(together),
            "memory_idle_mib": self.memory.idle,
            "memory_over_idle_mib": self.memory.most - self.memory.idle,
            "lists": await self._lists(),
        }

    def _large_file(self) -> Path:
        file = self.folder / "large"
        piece = os.urandom(16 * _MIB)
        with file.open("wb") as out:
            for _ in range(self.chosen.mib // 16):
                out.write(piece)
        return file

    async def _push(self, client: RegistryClient, file: Path) -> tuple[str, float]:
        with file.open("rb") as content:
            digest = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
        began = time.perf_counter()

        async def push() -> float:
            await client.push_blob(_REPOSITORY, digest, file)
            return self.size / _MIB / (time.perf_counter() - began)

        speed = await self.memory.watch(push())
        print(f"push {speed:.0f} MiB/s")
        return digest, speed

    async def _get(self, url: str) -> float:
        return await self.memory.watch(_curl(url))

    async def _many(self, url: str) -> float:
        began = time.perf_counter()
        await asyncio.gather(*(_curl(url) for _ in range(self.chosen.parallel)))
        return self.chosen.parallel * self.size / _MIB / (time.perf_counter() - began)

    async def _lists(self) -> dict[str, object]:
        """Fill the database behind the registry's back, then list as clients do."""
        store = MongoStore(self.mongodb_url, _DATABASE)
        documents = [_template(number, self.chosen.tags) for number in range(self.chosen.templates)]
        await store.insert(TEMPLATES, documents)
        await store.stop()
        registry, gateway = self.cloud.registry_url, self.cloud.api.gateways[0]
        found: dict[str, object] = {}
        for name, url in (
            ("registry_v1", f"{registry}/registry/vm"),
            ("registry_v2", f"{registry}/registry/v2/vm"),
            ("gateway", f"{gateway}/api/v1/registry/vm"),
            ("gateway_v1", f"{gateway}/api/v1/registry/vm?apiVer=v1"),
        ):
            found[name] = await self._list(url)
            print(f"{name}: {found[name]}")
        return found

    async def _list(self, url: str) -> dict[str, float]:
        http = self.cloud.api.http

        async def complete() -> bool:
            async with http.get(url) as answer:
                return len(msgspec.json.decode(await answer.read())["body"]) >= (
                    self.chosen.templates
                )

        began = time.perf_counter()
        await until(complete, 90.0, every=0.2)
        seen = time.perf_counter() - began
        seconds = []
        for _ in range(self.chosen.lists):
            began = time.perf_counter()
            async with http.get(url) as answer:
                await answer.read()
            seconds.append(time.perf_counter() - began)
        return {"seen_after_s": round(seen, 2)} | percentiles(seconds)


async def _curl(url: str) -> float:
    """MiB/s of one download to nowhere."""
    process = await asyncio.create_subprocess_exec(
        "curl", "--silent", "--fail", "--output", "/dev/null", "--write-out", "%{speed_download}",
        url, stdout=subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"curl {url} ended with {process.returncode}")
    return float(said) / _MIB


class nginx:  # noqa: N801 -- used as a statement
    """An nginx of one worker that serves the files of a folder; its address."""

    def __init__(self, folder: Path, root: Path) -> None:
        folder.mkdir()
        self._group = Group(folder)
        self._log = folder / "log"
        self._conf = folder / "nginx.conf"
        self._port = free_port()
        self._conf.write_text(_NGINX.format(folder=folder, port=self._port, root=root))

    def __enter__(self) -> str:
        """Start it."""
        tree = ROOT / ".local/nginx"
        subprocess.run([ROOT / "deploy/setup/unpack.sh", tree, "nginx"], check=True)
        argv = [tree / "usr/sbin/nginx", "-p", self._conf.parent, "-c", self._conf]
        self._group.spawn(argv, os.environ, self._log)
        return f"http://127.0.0.1:{self._port}"

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._group.kill()


def _template(number: int, tags: int) -> TemplateDocument:
    at = datetime.now(UTC)
    name = f"template-{number:05d}"
    return TemplateDocument(
        id=f"00000000-0000-4000-8000-{number:012d}",
        revision=1,
        name=name,
        repository=name,
        arch="amd64",
        size=20 << 30,
        next_number=tags,
        last_push=at,
        versions=tuple(
            Version(
                number=each,
                tag=f"v{each}",
                digest=f"sha256:{number:032x}{each:032x}",
                images=tuple(f"sha256:{number:032x}{layer:032x}" for layer in range(each, -1, -1)),
                blobs={f"sha256:{number:032x}{layer:032x}": 1 << 30 for layer in range(each + 1)},
                size=20 << 30,
                created=at,
                last_push=at,
            )
            for each in range(tags)
        ),
    )


async def _measure(chosen: argparse.Namespace) -> dict[str, object]:
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        mongod = mongo_server(folder / "mongod")
        rabbit = rabbit_server(folder / "rabbitmq", management=True)
        try:
            await mongod.start()
            await rabbit.start()
            vhost = await fresh_vhost(rabbit)
            async with running_cloud(folder, mongod.url, vhost, _DATABASE) as cloud:
                cloud.registry()
                cloud.gateway("gateway")
                await cloud.up()
                return await Bench(chosen, cloud, mongod.url, folder).run()
        finally:
            rabbit.kill()
            mongod.kill()


def main() -> None:
    """Print the figures, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--parallel", type=int, default=20)
    parser.add_argument("--templates", type=int, default=2000)
    parser.add_argument("--tags", type=int, default=10)
    parser.add_argument("--lists", type=int, default=50)
    parser.add_argument("--folder", help="where the data goes (a real disk, for real figures)")
    figures = {"bench": "registry"} | uvloop.run(_measure(parser.parse_args()))
    print(msgspec.json.encode(figures | {"machine": machine_facts()}).decode())


if __name__ == "__main__":
    main()
