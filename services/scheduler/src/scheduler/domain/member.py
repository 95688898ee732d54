"""An instance that may have come from a pool: what a claim makes of it."""

from datetime import datetime

from contracts.events import EventKind
from contracts.instances import InstanceState
from contracts.vms import ScriptResult, VmInfo
from scheduler.domain.record import InstanceRecord


class Member(InstanceRecord):
    """The log tells the same of it as of any other start, from the claim on."""

    @property
    def unannounced(self) -> bool:
        """Whether nobody has been told yet that it is Started."""
        return self.status.script_due or not self.status.was_started

    def requested(self, now: datetime) -> None:
        """First sight of the request: it becomes an event."""
        self._asked(
            EventKind.START_VM,
            now,
            group_id=self.spec.group_id,
            node_id=self.spec.node_id,
            priority=self.spec.priority,
            tag=self.spec.template.tag,
            template_id=self.spec.template.id,
        )

    def claim(self, now: datetime) -> None:
        """A request took it from its pool; with a startup script it is Started after that."""
        self.retired = False
        self._set(now, claimed=True, script_due=self.spec.script is not None)
        self.requested(now)
        if not self.status.script_due:
            self._is_started(now)

    def scripted(self, info: VmInfo, result: ScriptResult | None, now: datetime) -> bool:
        """The script of its claim is over; False when that was known."""
        if not self.status.script_due:
            return False
        self._set(now, script_due=False, vminfo=info, script_result=result)
        self.spec = self.spec.without_script()
        self._is_started(now)
        return True

    def _is_started(self, now: datetime) -> None:
        status = self.status
        if status.state is InstanceState.STARTED:
            self._happened(EventKind.VM_STARTED, now, state=status.state, node_id=status.node_id)
