"""The flags of ``corral-agent join``: the documented ones, by their documented names, and ours."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from chassis.config import BadSettings, parse_duration


def _flag(*names: str) -> Parameter:
    return Parameter(name=names)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class JoinFlags:
    """What a joined node is told; unset flags keep the environment's or the default value."""

    name: Annotated[str | None, _flag("--name", "-n")] = None
    """Node name (default: the host's name)"""
    node_id: str | None = None
    """Own node id (default: made once, kept in the data directory)"""
    host: Annotated[str | None, _flag("--host", "-H")] = None
    """Address published for this host (default: the local address)"""
    groups: Annotated[str | None, _flag("--groups", "-G")] = None
    """Names of groups to be added to, separated by commas"""
    max_vm_count: Annotated[int | None, _flag("--max-vm-count", "-m")] = None
    """Capacity in number mode (default: 2)"""
    capacity_mode: Annotated[str | None, _flag("--capacity-mode", "-M")] = None
    """number or resource"""
    vcpu_override: Annotated[int | None, _flag("--vcpu-override", "-V")] = None
    """Virtual CPUs in resource mode"""
    ram_override: Annotated[int | None, _flag("--ram-override", "-R")] = None
    """GiB of memory in resource mode (default: all but 2)"""
    force_overrides_in_resource_mode: bool | None = None
    """Count the request's vcpu and vram, not the template's"""
    drain_mode: bool | None = None
    """Join drained"""
    reserve_space: str | None = None
    """Disk to keep free when pulling, such as 45GB (default: a fifth)"""
    heartbeat: str | None = None
    """Interval of the status reports (default: 5s)"""
    num_workers: int | None = None
    """Pulls, clones and boots at the same time (default: 2)"""
    cli_start_timeout: str | None = None
    """Limit for one boot (default: 1m30s)"""
    enable_vm_monitor: bool | None = None
    """Fail VMs whose guest does not answer a trivial command"""
    vm_stuck_delay: str | None = None
    """Interval of that question (default: 30s)"""
    vm_stuck_timeout: str | None = None
    """Limit for the answer (default: 10s)"""
    no_central_logging: bool | None = None
    """Keep this agent's log out of the central logs"""
    vm_prefix: str | None = None
    """Prefix of VM names (default: mgmtManaged)"""
    driver: str | None = None
    """qemu or simulated"""
    data: str | None = None
    """Data directory (default: ~/.local/share/corral/agent)"""
    nodes: int | None = None
    """Nodes in this process (simulated driver)"""
    shared_queue: bool | None = None
    """One queue for the orders of all nodes of this process"""
    metrics_port: int | None = None
    """Port of metrics and probes (default: 2116)"""
    peer_fetch: bool | None = None
    """Fetch blobs from other nodes that have them, and serve them"""
    peer_port: int | None = None
    """Port that serves other nodes (default: 2117)"""
    sim_pull: str | None = None
    """Simulated: how long a pull takes"""
    sim_clone: str | None = None
    """Simulated: how long a clone takes"""
    sim_start: str | None = None
    """Simulated: how long a boot takes"""
    sim_network: str | None = None
    """Simulated: how long a guest has no address"""
    sim_script: str | None = None
    """Simulated: how long a script takes beyond its sleeps"""
    sim_stop: str | None = None
    """Simulated: how long stop and delete take"""
    sim_lifetime: str | None = None
    """Simulated: guests shut themselves down after this"""
    sim_state: str | None = None
    """Simulated: folder of the VMs (default: in the data directory)"""
    sim_usb: str | None = None
    """Simulated: USB devices as claim:number, separated by commas"""
    sim_vlans: str | None = None
    """Simulated: ids of VLANs, separated by commas"""
    sim_faults: str | None = None
    """Simulated: verb:nth:kind, separated by commas; *nth for every nth"""

    def settings(self) -> dict[str, Any]:
        """The flags that were given, as settings. Raises BadSettings."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        if given.pop("no_central_logging", False):
            given["central_logging"] = False
        if "cli_start_timeout" in given:
            given["start_timeout"] = given.pop("cli_start_timeout")
        for name in _DURATIONS & given.keys():
            given[name] = parse_duration(given[name])
        if " " in given.get("vm_prefix", ""):
            raise BadSettings("--vm-prefix takes no spaces")
        return given


_DURATIONS = frozenset(
    {
        "heartbeat",
        "start_timeout",
        "vm_stuck_delay",
        "vm_stuck_timeout",
        "sim_pull",
        "sim_clone",
        "sim_start",
        "sim_network",
        "sim_script",
        "sim_stop",
        "sim_lifetime",
    }
)


@Parameter(name="*", group="Accepted without effect")
@dataclass(frozen=True, kw_only=True)
class ForeignFlags:
    """Documented flags that mean nothing here: orders come over AMQP, whose URL has it all."""

    ignore_arm_vm_limit: bool = False
    optimization_threshold: int | None = None
    skip_pull_error: str | None = None
    request_timeout: str | None = None
    dial_timeout: str | None = None
    tls_handshake_timeout: str | None = None
    max_idle_connections_per_host: int | None = None
    num_http_sample_threshold: int | None = None
    dump_network_meter: bool = False
    dump_network_meter_file_name: str | None = None
    tls: Annotated[bool, _flag("--tls", "-t")] = False
    skip_tls_verification: bool = False
    cacert: Annotated[str | None, _flag("--cacert", "-c", "--root-cert", "-r")] = None
    cert: Annotated[str | None, _flag("--cert", "-C")] = None
    cert_key: Annotated[str | None, _flag("--cert-key", "-K")] = None
    keystore: Annotated[str | None, _flag("--keystore", "-k")] = None
    keystore_pass: Annotated[str | None, _flag("--keystore-pass", "-p")] = None
    api_key_id: str | None = None
    api_key_file: str | None = None
    api_key_string: str | None = None
    skip_tests: bool = False
    force_no_sudo: Annotated[bool, _flag("--force-no-sudo", "-f")] = False
    global_: Annotated[bool, _flag("--global", "-g")] = False
    verbosity: int | None = None

    def given(self) -> list[str]:
        """Names of the flags that were given."""
        return [
            name.strip("_") for name, value in asdict(self).items() if value not in (None, False)
        ]
