"""What a person reads when the cloud is ready: where it is, and how to start the first VM."""

import base64
import json
from collections.abc import Iterator

from embedded.app import Embedded

SCRIPT = 'echo "<h1>Hello from $(hostname)</h1>" > /var/www/index.html; uname -srm; uptime\n'
"""The startup script of the example; its output is in the instance when it has run."""


def first_vm(template_id: str) -> dict[str, object]:
    """The body of the example's POST: a script whose result is kept, and a forwarded port."""
    return {
        "vmid": template_id,
        "name": "first",
        "startup_script": base64.b64encode(SCRIPT.encode()).decode(),
        "script_monitoring": True,
        "port_forwarding_override": [{"name": "http", "guest_port": "80"}],
    }


def lines(cloud: Embedded) -> Iterator[str]:
    """Line by line."""
    yield f"Corral is ready: {cloud.address}"
    yield f"  registry {cloud.registry_address}, data {cloud.settings.folder}"
    yield f"  {cloud.choice.remark}"
    if cloud.demo is None:
        return
    if cloud.demo.problem:
        yield f"  no demo template: {cloud.demo.problem}"
        yield "  push one of your own: corral template push --help"
        return
    yield ""
    yield "Start a VM (its script writes a web page; port 80 of the guest is forwarded):"
    yield ""
    curl = 'curl -s -u "root:$CORRAL_ROOT_TOKEN"' if cloud.settings.enable_auth else "curl -s"
    body = json.dumps(first_vm(cloud.demo.template_id))
    yield f"  {curl} {cloud.address}/api/v1/vm -d '{body}'"
    yield ""
    yield f"Watch it: {curl} {cloud.address}/api/v1/vm"
    yield "Ctrl-C ends the services and leaves the VMs; `make stop` ends both."
