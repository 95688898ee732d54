"""What is said about one instance: outcomes until confirmed, progress, heartbeat lines."""

from collections.abc import Callable

import msgspec

from contracts.scripts import VmScripted
from contracts.vms import (
    VmFailed,
    VmGone,
    VmInfo,
    VmPhase,
    VmProgress,
    VmRestarted,
    VmStarted,
    VmState,
)
from node_agent.domain.record import Outcome, Record
from node_agent.host import Host
from node_agent.publisher import Telling

_FULL_INFO_EVERY = 12
_PROGRESS_SECONDS = 1.0
_IN_SHARES = (VmPhase.PULLING, VmPhase.SAVING)


class Reports:
    """The voice of one instance; knows what the bus has confirmed of it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._outcome: Telling | None = None
        self._progress: Telling | None = None
        self._progress_at = -_PROGRESS_SECONDS
        self._told_info: VmInfo | None = None
        self._lines = 0

    @property
    def telling(self) -> bool:
        """Whether an outcome is on its way."""
        return self._outcome is not None

    def outcome(self, report: Outcome, confirmed: Callable[[], None]) -> None:
        """Say how the attempt ended until the bus confirms it; then ``confirmed`` is called."""
        self.withdraw()
        telling = self._outcome = self._host.publisher.tell(report)

        def settle(_future: object) -> None:
            if self._outcome is telling:
                self._outcome = None
                self._told_info = unstamped(report.info) if report.info is not None else None
                confirmed()

        telling.confirmed.add_done_callback(settle)

    def withdraw(self) -> None:
        """Say the outcome no more: it has been overtaken."""
        telling, self._outcome = self._outcome, None
        if telling is not None:
            telling.withdraw()

    def started(self, record: Record, info: VmInfo) -> VmStarted:
        """The report of a VM that runs."""
        return VmStarted(
            node_id=record.node_id,
            at=self._host.clock.now(),
            instance_id=record.instance_id,
            attempt=record.attempt,
            epoch=record.epoch,
            info=self.stamped(info),
        )

    def failed(
        self, record: Record, message: str, *, final: bool, logs: tuple[str, ...]
    ) -> VmFailed:
        """The report of an attempt that came to nothing."""
        return VmFailed(
            node_id=record.node_id,
            at=self._host.clock.now(),
            instance_id=record.instance_id,
            attempt=record.attempt,
            epoch=record.epoch,
            message=message,
            final=final,
            logs=logs,
        )

    def progress(self, record: Record, phase: VmPhase, share: float, *, now: bool) -> None:
        """Say how far the attempt is: ``now``, or when the last time is a second ago."""
        moment = self._host.clock.monotonic()
        if not now and moment - self._progress_at < _PROGRESS_SECONDS:
            return
        if self._progress is not None and not now and not self._progress.confirmed.done():
            return
        self._progress_at = moment
        self._progress = self._host.publisher.mention(
            VmProgress(
                node_id=record.node_id,
                at=self._host.clock.now(),
                instance_id=record.instance_id,
                attempt=record.attempt,
                epoch=record.epoch,
                phase=phase,
                progress=share,
            )
        )

    def gone(self, record: Record, attempt: int) -> None:
        """Say that nothing is left up to this attempt."""
        self._host.publisher.tell(
            VmGone(
                node_id=record.node_id,
                at=self._host.clock.now(),
                instance_id=record.instance_id,
                attempt=attempt,
                epoch=record.epoch,
            )
        )

    def restarted(self, record: Record, number: int, info: VmInfo | None, error: str) -> None:
        """Say that a restart was done, or failed."""
        self._host.publisher.tell(
            VmRestarted(
                node_id=record.node_id,
                at=self._host.clock.now(),
                instance_id=record.instance_id,
                attempt=record.attempt,
                epoch=record.epoch,
                number=number,
                info=None if info is None else self.stamped(info),
                error=error,
            )
        )

    def scripted(self, record: Record, info: VmInfo) -> None:
        """Say that a script that came late is over."""
        self._host.publisher.tell(
            VmScripted(
                node_id=record.node_id,
                at=self._host.clock.now(),
                instance_id=record.instance_id,
                attempt=record.attempt,
                epoch=record.epoch,
                info=self.stamped(info),
                script_result=record.script_result,
            )
        )

    def line(
        self, record: Record, phase: VmPhase, share: float, info: VmInfo | None, *, full: bool
    ) -> VmState:
        """The heartbeat's line; ``info`` goes along when it is news, and in every twelfth."""
        self._lines += 1
        news = full or info != self._told_info or self._lines % _FULL_INFO_EVERY == 0
        return VmState(
            instance_id=record.instance_id,
            attempt=record.attempt,
            epoch=record.epoch,
            phase=phase,
            progress=share if phase in _IN_SHARES else 0.0,
            restarts=record.restarts,
            saving=record.saving.request_id if record.saving is not None else "",
            info=self.stamped(info) if info is not None and news else None,
        )

    def heard(self, line: VmState) -> None:
        """A heartbeat with this line was confirmed."""
        if line.info is not None:
            self._told_info = unstamped(line.info)

    def stamped(self, info: VmInfo) -> VmInfo:
        """The driver's info with what the agent adds."""
        return msgspec.structs.replace(
            info,
            node_id=self._host.node_id,
            host_ip=self._host.address,
            timestamp=self._host.clock.now(),
        )


def unstamped(info: VmInfo) -> VmInfo:
    """A reported info as the driver gave it, to be compared with what it gives next."""
    return msgspec.structs.replace(info, node_id="", host_ip="", timestamp=None)
