"""``corral vm``: start, list, show and stop VMs through the controller."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from corral.cli.output import Json, show, table
from corral.cloud import Cloud

CONTROLLER = "http://127.0.0.1:8090"
app = App(name="vm", help="VM instances.")

Controller = Annotated[str, Parameter(help="Address of the controller.")]


@app.command
async def start(  # noqa: PLR0913 -- a command's options
    template: str,
    *,
    tag: str | None = None,
    count: int = 1,
    node: Annotated[str | None, Parameter(help="Id of the node.")] = None,
    group: Annotated[str | None, Parameter(help="Id of the node group.")] = None,
    priority: int | None = None,
    name: str | None = None,
    controller: Controller = CONTROLLER,
) -> None:
    """Start VMs of a template, named by its id or its name; prints the instances' ids."""
    async with Cloud(controller) as cloud:
        ids = await cloud.start_vm(
            await _template_id(cloud, template),
            tag=tag,
            count=count,
            node_id=node,
            group_id=group,
            priority=priority,
            name=name,
        )
    for identity in ids:
        print(identity)  # noqa: T201 -- the command's result


@app.command(name="list")
async def list_(*, controller: Controller = CONTROLLER, json: Json = False) -> None:
    """List instances."""
    async with Cloud(controller) as cloud:
        body = await cloud.get("/api/v1/vm")
    if json:
        show(body)
        return
    table(
        [_row(item) for item in body or ()],
        {
            "id": "ID",
            "state": "STATE",
            "tag": "TAG",
            "node": "NODE",
            "ssh": "SSH",
            "message": "MESSAGE",
        },
    )


@app.command(name="show")
async def show_(instance: str, *, controller: Controller = CONTROLLER) -> None:
    """Everything known of an instance, as JSON."""
    async with Cloud(controller) as cloud:
        show(await cloud.get("/api/v1/vm", id=instance))


@app.command
async def stop(*instances: str, controller: Controller = CONTROLLER) -> None:
    """Terminate instances."""
    async with Cloud(controller) as cloud:
        for instance in instances:
            await cloud.stop_vm(instance)


async def _template_id(cloud: Cloud, name: str) -> str:
    """The id of the template that is called so; ``name`` itself when none is."""
    for template in await cloud.get("/api/v1/registry/vm") or ():
        if template["name"] == name:
            return str(template["id"])
    return name


def _row(item: dict[str, Any]) -> dict[str, Any]:
    vm = item["vm"]
    info = vm.get("vminfo") or {}
    ssh = next((p for p in info.get("port_forwarding") or () if p["guest_port"] == 22), None)  # noqa: PLR2004 -- ssh
    return {
        "id": item["instance_id"],
        "state": vm["instance_state"],
        "tag": vm.get("tag"),
        "node": vm.get("node_id"),
        "ssh": ssh and f"{info.get('host_ip')}:{ssh['host_port']}",
        "message": vm.get("message"),
    }
