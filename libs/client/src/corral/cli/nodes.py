"""``corral node``: the hosts of the cloud."""

from cyclopts import App

from corral.cli.output import Json, show, table
from corral.cli.vms import CONTROLLER, Controller
from corral.cloud import Cloud
from corral.root import root_token

app = App(name="node", help="Hosts that run VMs.")


@app.command(name="list")
async def list_(*, controller: Controller = CONTROLLER, json: Json = False) -> None:
    """List nodes."""
    async with Cloud(controller, root_token()) as cloud:
        body = await cloud.get("/api/v1/node")
    if json:
        show(body)
        return
    columns = {
        "node_id": "ID",
        "node_name": "NAME",
        "state": "STATE",
        "vm_count": "VMS",
        "capacity": "CAPACITY",
        "ip_address": "ADDRESS",
        "host_arch": "ARCH",
    }
    table(body or (), columns)
