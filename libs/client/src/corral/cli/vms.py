"""``corral vm``: start, list, show and stop VMs through the controller."""

import base64
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from corral.cli.output import Json, as_list, show, table
from corral.cloud import Cloud
from corral.root import root_token

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
    async with Cloud(controller, root_token()) as cloud:
        ids = await cloud.start_vm(
            await cloud.template_id(template),
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
    async with Cloud(controller, root_token()) as cloud:
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
    async with Cloud(controller, root_token()) as cloud:
        show(await cloud.get("/api/v1/vm", id=instance))


@app.command
async def save(  # noqa: PLR0913 -- a command's options
    instance: str,
    tag: str,
    *,
    template: Annotated[str | None, Parameter(help="Id or name; the tag is added to it.")] = None,
    new_template: Annotated[str | None, Parameter(help="Name of a template to make.")] = None,
    description: str | None = None,
    stop: Annotated[bool, Parameter(help="Stop the VM instead of suspending it.")] = False,
    script: Annotated[Path | None, Parameter(help="Run in the guest before.")] = None,
    controller: Controller = CONTROLLER,
) -> None:
    """Save a running VM as a tag, which ends it; prints the request's id."""
    async with Cloud(controller, root_token()) as cloud:
        request = await cloud.save_vm(
            instance,
            tag,
            target_vm_id=template and await cloud.template_id(template),
            new_template_name=new_template,
            description=description,
            suspend=not stop,
            script=script and base64.b64encode(script.read_bytes()).decode(),
        )
    print(request)  # noqa: T201 -- the command's result


@app.command
async def saves(
    request: str = "", *, controller: Controller = CONTROLLER, json: Json = False
) -> None:
    """List what is or was being saved, or one request."""
    query = {"id": request} if request else {}
    async with Cloud(controller, root_token()) as cloud:
        body = await cloud.get("/api/v1/image", **query)
    if json:
        show(body)
        return
    columns = {"id": "ID", "status": "STATUS", "instance": "INSTANCE", "tag": "TAG"}
    table([_save_row(item) for item in as_list(body)], columns | {"error": "ERROR"})


@app.command
async def stop(*instances: str, controller: Controller = CONTROLLER) -> None:
    """Terminate instances."""
    async with Cloud(controller, root_token()) as cloud:
        for instance in instances:
            await cloud.stop_vm(instance)


def _save_row(item: dict[str, Any]) -> dict[str, Any]:
    request = item["request"]
    return {
        "id": item["id"],
        "status": item["status"],
        "instance": request["InstanceID"],
        "tag": request["Tag"],
        "error": (item["error"] or {}).get("Message"),
    }


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
