"""The fields that public clients read: who needs them, in which form, what breaks otherwise.

To be read from top to bottom. ``of`` names what is looked at (``samples.py`` makes some of each),
``path`` the field. A field is there ``always``, or may be left out but is never null.
"""

import msgspec

from tests.clients import forms
from tests.clients.forms import Form

STATES = (
    *("Scheduling", "Pulling", "Started", "Stopping", "Stopped"),
    *("Terminating", "Terminated", "Error", "Pushing"),
)
NODE_STATES = (
    *("Offline", "Inactive (Invalid License)", "Active", "Updating", "Unhealthy", "Drain Mode"),
)


class Field(msgspec.Struct, frozen=True):
    """One line of the table. ``breaks``: which clients do what when it is otherwise."""

    of: str
    path: str
    form: Form
    breaks: str
    always: bool = True

    def __str__(self) -> str:
        return f"{self.of}.{self.path}"


SOMETIMES = {"always": False}

ENVELOPE = (
    Field("answer", "status", forms.one_of("OK"), "all: a failure is seen"),
    Field("answer", "message", forms.one_of(""), "Jenkins, TeamCity: no string, exception"),
    Field("failure", "status", forms.one_of("FAIL"), "all: success is seen"),
    Field("failure", "message", forms.filled, "Jenkins, TeamCity: exception on null"),
    Field("created", "body", forms.array, "GitLab, drone: index into nothing"),
    Field("created", "body[]", forms.filled, "all: no id to ask for"),
)

WRAPPER = (
    Field("listed", "instance_id", forms.filled, "Jenkins, TeamCity: the whole list is lost"),
    Field("listed", "external_id", forms.text_or_null, "GitHub Actions: the VM is never found"),
    Field("listed", "name", forms.text_or_null, "drone: does not decode"),
    Field("listed", "vm", forms.mapping, "GitLab crashes; Jenkins, TeamCity lose the list"),
)

INSTANCE = (
    Field("vm", "instance_state", forms.one_of(*STATES), "all: no such state"),
    Field("vm", "instance_id", forms.filled, "GitLab terminates by the inner id"),
    Field("vm", "external_id", forms.filled, "TeamCity: null loses the list", **SOMETIMES),
    Field("vm", "vmid", forms.filled, "Jenkins, TeamCity: exception"),
    Field("vm", "cr_time", forms.moment, "Jenkins, TeamCity: the list is lost; drone: no time"),
    Field("vm", "ts", forms.moment, "exporter: a wrong age; drone: no time"),
    Field("vm", "progress", forms.fraction, "drone: 0.0 is no int; GitLab shows it as percent"),
    Field("vm", "arch", forms.architecture, "exporter: crashes", **SOMETIMES),
    Field("vm", "node_id", forms.filled, "GitLab: no node to connect to", **SOMETIMES),
    Field("vm", "group_id", forms.text, "exporter: does not decode", **SOMETIMES),
    Field("vm", "message", forms.filled, "Jenkins, TeamCity: null loses the list", **SOMETIMES),
    Field("vm", "vminfo", forms.mapping, "Jenkins, TeamCity: null is no object", **SOMETIMES),
    Field("vm", "startup_script", forms.mapping, "GitHub Actions: undefined", **SOMETIMES),
    Field("vm", "startup_script.stderr", forms.text, "GitHub Actions: undefined", **SOMETIMES),
    Field("vm", "tag", forms.filled, "drone: does not decode", **SOMETIMES),
    Field("vm", "anka_registry", forms.text, "drone: does not decode"),
    Field("vm", "inflight_reqid", forms.text, "drone: does not decode", **SOMETIMES),
    Field("vm", "vlan", forms.text, "drone: does not decode"),
    Field("vm", "version", forms.count, "GitLab runner: does not decode", **SOMETIMES),
    Field("started", "node_id", forms.filled, "GitLab: no node to connect to"),
    Field("started", "vminfo", forms.mapping, "GitLab crashes without it"),
)

VMINFO = (
    Field("vminfo", "uuid", forms.filled, "Jenkins, TeamCity, Kotlin: exception"),
    Field("vminfo", "status", forms.filled, "Jenkins, TeamCity: exception; MCP is never ready"),
    Field("vminfo", "name", forms.filled, "Kotlin: exception; GitLab crashes"),
    Field("vminfo", "ip", forms.text, "Kotlin: exception; TeamCity gives up after two minutes"),
    Field("vminfo", "host_ip", forms.text, "Jenkins waits for ever"),
    Field("vminfo", "node_id", forms.filled, "GitLab runner: no node; Kotlin: exception"),
    Field("vminfo", "port_forwarding", forms.array, "drone: no rule", **SOMETIMES),
    Field("vminfo", "port_forwarding[].guest_port", forms.count, "Go: no int", **SOMETIMES),
    Field("vminfo", "port_forwarding[].host_port", forms.count, "Go: no int", **SOMETIMES),
    Field(
        *("vminfo", "port_forwarding[].protocol", forms.one_of("tcp", "udp")),
        *("GitLab: no rule for SSH", False),
    ),
    Field("vminfo", "port_forwarding[].name", forms.filled, "shown only", **SOMETIMES),
    Field("vminfo", "cpu_cores", forms.count, "drone: no int"),
    Field("vminfo", "vnc_port", forms.count, "drone: no int"),
    Field("vminfo", "ram", forms.filled, "drone: a number is no string"),
    Field("vminfo", "creation_date", forms.moment, "drone: empty is no time"),
    Field("vminfo", "stop_date", forms.moment, "drone: empty is no time"),
    Field("vminfo", "version", forms.text, "drone: a number is no string"),
)

_COUNTS = (
    *("capacity", "vm_count", "cpu_count", "ram", "vcpu_count", "vram"),
    *("disk_size", "free_disk_space", "anka_disk_usage"),
)

NODE = (
    Field("node", "host_arch", forms.architecture, "exporter: crashes, whatever the state"),
    Field("node", "state", forms.one_of(*NODE_STATES), "Jenkins, TeamCity: no capacity"),
    *(Field("node", name, forms.count, "exporter: all nodes are lost") for name in _COUNTS),
    Field("node", "capacity_mode", forms.one_of("number", "resource"), "Jenkins halves resource"),
    Field("node", "cpu_util", forms.fraction, "exporter: does not decode"),
    Field("node", "ram_util", forms.fraction, "exporter: does not decode"),
    Field("node", "ip_address", forms.text, "GitLab: SSH goes nowhere"),
    Field("node", "node_name", forms.filled, "exporter: the node is skipped"),
    Field("node", "groups", forms.array, "exporter: does not decode", **SOMETIMES),
    Field("node", "groups[].id", forms.filled, "exporter: does not decode", **SOMETIMES),
    Field("node", "groups[].name", forms.filled, "exporter: does not decode", **SOMETIMES),
    Field("node", "groups[].description", forms.text, "exporter: does not decode", **SOMETIMES),
    Field(
        *("node", "groups[].fallback_group_id", forms.text_or_null),
        *("exporter: does not decode", False),
    ),
)

REST = (
    Field("status", "status", forms.one_of("Running"), "all: the cloud is offline"),
    Field("status", "license", forms.filled, "TeamCity, drone: exception; basic hides groups"),
    Field("status", "registry_address", forms.filled, "drone: error"),
    Field("status", "registry_status", forms.one_of("Running", "FAIL"), "exporter: 0"),
    Field("template", "id", forms.filled, "all: exception"),
    Field("template", "name", forms.filled, "all: exception"),
    Field("template", "size", forms.count, "exporter: no number; of 0 it reads no tags"),
    Field("versions", "versions", forms.array, "Jenkins, TeamCity: no tags are shown"),
    Field("versions", "versions[].tag", forms.filled, "Jenkins, TeamCity: the list is cut short"),
    Field("versions", "versions[].size", forms.count, "exporter: does not decode"),
    Field("disk", "total", forms.count, "exporter: does not decode"),
    Field("disk", "free", forms.count, "exporter: does not decode"),
    Field("group", "id", forms.filled, "GitLab runner: crashes"),
    Field("group", "name", forms.filled, "GitLab runner: crashes"),
    Field("group", "description", forms.text, "Jenkins: groups fail on null"),
    Field("save", "request_id", forms.filled, "Jenkins, TeamCity: exception"),
    Field("image", "status", forms.one_of("pending", "done", "error"), "Jenkins: no end"),
)

TABLE = (*ENVELOPE, *WRAPPER, *INSTANCE, *VMINFO, *NODE, *REST)
