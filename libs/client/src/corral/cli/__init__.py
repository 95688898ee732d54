"""The ``corral`` command."""

import sys

from cyclopts import App, Parameter

from corral.cli import nodes, template_control, templates, vms
from corral.cli.output import complain
from corral.cloud import CloudError
from corral.registry import RegistryError

app = App(
    name="corral",
    help="On-demand VMs on a fleet of hosts.",
    default_parameter=Parameter(negative=()),
)
template_control.add_to(templates.app)
app.command(templates.app)
app.command(vms.app)
app.command(nodes.app)


def main() -> None:
    """Run; what went wrong is one line, and the exit status 1."""
    try:
        app()
    except (CloudError, RegistryError, OSError) as error:
        complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
