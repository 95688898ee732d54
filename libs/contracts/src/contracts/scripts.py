"""The startup script of a VM that ran before anybody asked for it, as a claim brings it."""

from contracts.messages import Order
from contracts.vms import Script, ScriptResult, VmInfo, VmReport


class RunScript(Order, frozen=True, kw_only=True, tag="vm.script.v1"):
    """Run this in a VM that was running before anybody asked for it; once for each instance."""

    instance_id: str
    script: Script


class VmScripted(VmReport, frozen=True, kw_only=True, tag="vm.scripted.v1"):
    """RunScript was carried out, well where that is monitored; else there is a VmFailed."""

    info: VmInfo
    script_result: ScriptResult | None = None
