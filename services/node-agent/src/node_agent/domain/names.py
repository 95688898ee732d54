"""Names of VMs: ``<prefix>-<pattern>``, unique on the host."""

import re
from collections.abc import Container
from string import Template

from contracts.vms import RunVm

DEFAULT_PREFIX = "mgmtManaged"
_MAX_LENGTH = 180
_INVALID = re.compile(r"[^A-Za-z0-9._-]")


def vm_name(
    run: RunVm, *, prefix: str, node_name: str, nanoseconds: int, taken: Container[str]
) -> str:
    """The VM's name by the start's pattern; what the host has already gets a number behind it.

    Without a pattern: the template's name and the nanoseconds since 1970. Variables:
    ``$template_name $template_id $instance_id $node_id $node_name $ts $tag``.
    Characters that no hypervisor takes become dashes.
    """
    if not run.name_template:
        return _free(f"{run.template.name}-{nanoseconds}", prefix, taken)
    filled = Template(run.name_template).safe_substitute(
        template_name=run.template.name,
        template_id=run.template.id,
        instance_id=run.instance_id,
        node_id=run.node_id,
        node_name=node_name,
        ts=nanoseconds,
        tag=run.template.tag,
    )
    return _free(filled, prefix, taken)


def _free(filled: str, prefix: str, taken: Container[str]) -> str:
    name = _INVALID.sub("-", f"{prefix or DEFAULT_PREFIX}-{filled}")[:_MAX_LENGTH]
    if name not in taken:
        return name
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"
