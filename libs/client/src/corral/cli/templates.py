"""``corral template``: build, push, pull and list templates."""

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import aiohttp
import msgspec
from cyclopts import App, Parameter

from contracts.artifacts import SavedState, TemplateConfig
from contracts.vms import PortRule
from corral.cli.output import Json, progress, show, table
from corral.registry import (
    LocalTemplate,
    RegistryClient,
    RegistryDown,
    pull_template,
    push_template,
    repository_of_name,
)
from corral.root import credentials, root_token

REGISTRY = "http://127.0.0.1:8089"
app = App(name="template", help="Templates in the registry.")

Registry = Annotated[str, Parameter(help="Address of the registry.")]


@app.command
async def build(
    output: Path | None = None, *, push: str = "", registry: Registry = REGISTRY
) -> None:
    """Build the demo guest from the distribution's packages.

    Parameters
    ----------
    output
        Folder for the files; needed unless they are only pushed.
    push
        Push the result under this tag.
    registry
        Where to push to.
    """
    from corral.guest import CannotBuild, build_template  # only Debian hosts can

    if output is None and not push:
        raise SystemExit("corral: name a folder, or a tag to push with --push")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            built = build_template(output or Path(scratch))
        except CannotBuild as error:
            raise SystemExit(f"corral: {error}") from None
        if push:
            local = LocalTemplate(
                config=built.config, disks=(built.disk,), kernel=built.kernel, initrd=built.initrd
            )
            await _push(local, repository_of_name(built.config.name), push, registry)
    if output is not None:
        for file in (built.disk, built.kernel, built.initrd):
            print(file)  # noqa: T201 -- the command's result


@app.command
async def push(  # noqa: PLR0913 -- a command's options
    disk: Annotated[list[Path], Parameter(help="qcow2 files, base first.")],
    *,
    name: str,
    tag: str = "latest",
    kernel: Path | None = None,
    initrd: Path | None = None,
    nvram: Annotated[Path | None, Parameter(help="The firmware's variables.")] = None,
    state: Annotated[Path | None, Parameter(help="Saved memory and devices.")] = None,
    saved: Annotated[Path | None, Parameter(help="JSON: what restores the state.")] = None,
    cmdline: str = "",
    arch: Literal["amd64", "arm64"] = "amd64",
    cpu: int = 1,
    ram: Annotated[int, Parameter(help="MiB.")] = 512,
    port: Annotated[list[str] | None, Parameter(help="NAME=PORT in the guest.")] = None,
    network_mode: str = "",
    description: str = "",
    template_id: Annotated[str, Parameter(name="--id", help="Default: made from the name.")] = "",
    registry: Registry = REGISTRY,
) -> None:
    """Push a disk image as a tag of a template."""
    config = TemplateConfig(
        name=name,
        arch=arch,
        cpu=cpu,
        ram_mb=ram,
        description=description,
        ports=tuple(_rule(text) for text in port or ()),
        cmdline=cmdline,
        network_mode=network_mode,
        saved=None if saved is None else _saved(saved),
    )
    local = LocalTemplate(
        config=config, disks=tuple(disk), kernel=kernel, initrd=initrd, nvram=nvram, state=state
    )
    repository = template_id or repository_of_name(name)
    await _push(local, repository, tag, registry)


@app.command
async def pull(
    template_id: str, tag: str = "latest", output: Path = Path(), *, registry: Registry = REGISTRY
) -> None:
    """Pull a tag into a folder; continues where an earlier pull broke off."""
    async with RegistryClient(registry, root_token=root_token()) as client:
        with progress(f"{template_id} {tag}", None) as moved:
            pulled = await pull_template(client, template_id, tag, output, moved)
    for _, file in pulled.files():
        print(file)  # noqa: T201 -- the command's result


@app.command(name="list")
async def list_(
    template_id: str = "", *, registry: Registry = REGISTRY, json: Json = False
) -> None:
    """List templates, or the tags of one."""
    query = {"id": template_id} if template_id else {}
    body = await _facade(registry, "/registry/v2/vm", query)
    if json:
        show(body)
    elif template_id:
        columns = {"number": "NUMBER", "tag": "TAG", "size": "SIZE", "description": "DESCRIPTION"}
        table(body["versions"], columns)
    else:
        table(body, {"id": "ID", "name": "NAME", "arch": "ARCH", "size": "SIZE"})


async def _push(local: LocalTemplate, repository: str, tag: str, registry: str) -> None:
    total = sum(file.stat().st_size for _, file in local.files())
    async with RegistryClient(registry, root_token=root_token()) as client:
        with progress(f"{local.config.name} {tag}", total) as moved:
            digest = await push_template(client, repository, tag, local, moved)
    print(f"{repository} {tag} {digest}")  # noqa: T201 -- the command's result


def _rule(text: str) -> PortRule:
    name, _, port = text.partition("=")
    if not name or not port.isdigit():
        raise SystemExit(f"corral: --port wants NAME=PORT, not {text}")
    return PortRule(name=name, guest_port=int(port))


def _saved(file: Path) -> SavedState:
    try:
        return msgspec.json.decode(file.read_bytes(), type=SavedState)
    except (OSError, msgspec.MsgspecError) as error:
        raise SystemExit(f"corral: --saved {file}: {error}") from None


async def _facade(registry: str, path: str, query: dict[str, str]) -> Any:
    try:
        async with (
            aiohttp.ClientSession(headers=credentials(root_token())) as session,
            session.get(registry.rstrip("/") + path, params=query) as response,
        ):
            answer = msgspec.json.decode(await response.read())
    except (aiohttp.ClientError, msgspec.MsgspecError) as error:
        raise RegistryDown(f"{registry} does not answer as a registry: {error}") from error
    if answer["status"] != "OK":
        raise SystemExit(f"corral: {answer['message']}")
    return answer["body"]
