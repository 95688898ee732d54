"""``corral template``: what the controller does with templates."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from corral.cli.output import Json, as_list, show, table
from corral.cli.vms import CONTROLLER, Controller
from corral.cloud import Cloud
from corral.root import root_token

_DISTRIBUTE = "/api/v1/registry/vm/distribute"


def add_to(app: App) -> None:
    """Add the commands."""
    for command in (delete, revert, distribute, distributions):
        app.command(command)


async def delete(template: str, *, controller: Controller = CONTROLLER) -> None:
    """Delete a template, named by its id or its name, with all its tags."""
    async with Cloud(controller, root_token()) as cloud:
        await cloud.delete("/api/v1/registry/vm", None, id=await cloud.template_id(template))


async def revert(
    template: str,
    *,
    tag: Annotated[str, Parameter(help="Keep this tag, delete what is newer.")] = "",
    controller: Controller = CONTROLLER,
) -> None:
    """Delete the latest tag of a template, or everything that is newer than a tag."""
    query = {"tag": tag} if tag else {}
    async with Cloud(controller, root_token()) as cloud:
        identity = await cloud.template_id(template)
        await cloud.delete("/api/v1/registry/revert", None, id=identity, **query)


async def distribute(
    template: str,
    *,
    tag: str | None = None,
    node: Annotated[list[str] | None, Parameter(help="Id of a node; default: all.")] = None,
    group: Annotated[str | None, Parameter(help="Id of the node group.")] = None,
    controller: Controller = CONTROLLER,
) -> None:
    """Send a template to nodes ahead of time; prints the request's id."""
    async with Cloud(controller, root_token()) as cloud:
        request = await cloud.distribute(
            await cloud.template_id(template), tag=tag, node_ids=node, group_id=group
        )
    print(request)  # noqa: T201 -- the command's result


async def distributions(
    request: str = "",
    *,
    cancel: Annotated[bool, Parameter(help="Stop what is still being pulled.")] = False,
    controller: Controller = CONTROLLER,
    json: Json = False,
) -> None:
    """List how far distributions are, node by node, or one of them."""
    query = {"id": request} if request else {}
    async with Cloud(controller, root_token()) as cloud:
        if cancel:
            await cloud.delete(_DISTRIBUTE, None, **query)
        body = await cloud.get(_DISTRIBUTE, **query)
    if json:
        show(body)
        return
    columns = {"id": "ID", "template": "TEMPLATE", "node": "NODE", "done": "DONE"}
    rows = [row for item in as_list(body) for row in _rows(item)]
    table(rows, columns | {"progress": "PROGRESS", "error": "ERROR"})


def _rows(item: dict[str, Any]) -> list[dict[str, Any]]:
    request = item["request"]
    return [
        {
            "id": request["request_id"],
            "template": request["template_id"],
            "node": node,
            "done": "yes" if pull["status"] else "no",
            "progress": f"{pull['progress']:.0%}",
            "error": pull.get("error"),
        }
        for node, pull in item["distribute_status"].items()
    ]
