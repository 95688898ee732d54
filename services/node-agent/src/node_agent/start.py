"""Bringing one VM up: pull, clone, boot, network, startup script."""

import contextlib
from typing import Protocol

import structlog

from chassis import tracing
from contracts.vms import (
    RunVm,
    Script,
    ScriptCondition,
    ScriptResult,
    StartTimes,
    VmInfo,
    VmPhase,
)
from node_agent.domain.record import Record
from node_agent.drivers.port import HostFault, VmSpec
from node_agent.host import Host
from node_agent.overrides import check_overrides
from node_agent.startup_script import SCRIPT_GRACE, run_startup

UNCONFIRMED = "the start was not confirmed in time"
_log = structlog.get_logger()


class Attempt(Protocol):
    """What a start tells whoever runs it."""

    record: Record

    def moved(self, phase: VmPhase, share: float = 0.0) -> None:
        """The attempt is in this phase now."""
        ...

    def limit(self, seconds: float | None) -> None:
        """What comes next has so long (None: no limit)."""
        ...

    async def keep(self, record: Record) -> None:
        """Return when this is durable."""
        ...


class Start:
    """One start of one attempt. Raises DriverError or ScriptFailed; cancelled at any await."""

    def __init__(self, host: Host, attempt: Attempt, run: RunVm) -> None:
        self._host = host
        self._driver = host.driver
        self._attempt = attempt
        self._run = run
        self._name = attempt.record.vm_name
        self._lap = host.clock.monotonic()
        self._laps: dict[str, float] = {}

    @property
    def took(self) -> StartTimes:
        """How long the parts that are over have taken."""
        return StartTimes(**self._laps)

    async def bring_up(self, found: VmInfo | None) -> tuple[VmInfo, ScriptResult | None]:
        """The running VM, and the result of its script if that is monitored.

        ``found``: the VM was started already by an agent that was killed then.
        """
        run = self._run
        with tracing.span(
            "agent.start",
            run.trace,
            instance=run.instance_id,
            node=run.node_id,
            attempt=run.attempt,
        ):
            return await self._bring_up(found)

    async def _bring_up(self, found: VmInfo | None) -> tuple[VmInfo, ScriptResult | None]:
        info = await (self._boot() if found is None else self._boot_further())
        script = self._run.script
        if script is None or script.condition is ScriptCondition.NETWORK:
            with tracing.span("agent.network"):
                info = await self._wait_for_network(info, needed=script is not None)
        self._over("boot")
        result = None
        if script is not None:
            with tracing.span("agent.script"):
                result = await self._run_script(script)
            info = await self._driver.info(self._name)
            self._over("script")
        if info.status != "running":
            raise HostFault(f'Unexpected VM state: "{info.status}"')
        self._attempt.limit(None)
        return info, result

    async def _boot(self) -> VmInfo:
        run, host = self._run, self._host
        check_overrides(run.overrides, self._driver.capabilities, self._driver.name)
        async with contextlib.AsyncExitStack() as held:
            with tracing.span("agent.pull"):
                await held.enter_async_context(
                    host.images.hold(run.template, run.registry, self._pulling)
                )
            self._over("pulling")
            self._attempt.moved(VmPhase.PREPARING)
            async with host.workers.boot():
                self._attempt.limit(self._limit)
                with tracing.span("agent.clone"):
                    await self._driver.clone(self._spec())
                self._check_in_time()
                self._over("preparing")
                return await self._start_vm()

    @property
    def _limit(self) -> float:
        """Seconds to be up; a suspended template's memory is read first."""
        limits = self._host.limits
        return limits.start + (limits.state if self._run.template.suspended else 0)

    def _spec(self) -> VmSpec:
        run = self._run
        return VmSpec(
            name=self._name,
            template=run.template,
            overrides=run.overrides,
            cloud_id=run.cloud_id,
            instance_id=run.instance_id,
            attempt=run.attempt,
        )

    async def _start_vm(self) -> VmInfo:
        with tracing.span("agent.boot"):
            return await self._driver.start(self._name)

    async def _boot_further(self) -> VmInfo:
        """Nobody knows how far the guest has come: a script may not begin before it is up."""
        self._attempt.moved(VmPhase.PREPARING)
        self._attempt.limit(self._limit)
        return await self._start_vm()

    def _over(self, part: str) -> None:
        now = self._host.clock.monotonic()
        self._laps[part], self._lap = round(now - self._lap, 3), now

    def _check_in_time(self) -> None:
        """An agent that was frozen wakes up here: by now another node may be at it."""
        until = self._attempt.record.valid_until
        if until is not None and self._host.clock.now() > until:
            raise HostFault(UNCONFIRMED)

    def _pulling(self, share: float) -> None:
        self._attempt.moved(VmPhase.PULLING, share)

    async def _wait_for_network(self, info: VmInfo, *, needed: bool) -> VmInfo:
        """Wait for the guest's address; only a script that needs it fails without."""
        if not needed and self._run.overrides.network_mode == "disconnected":
            return info
        limits, clock = self._host.limits, self._host.clock
        until = clock.monotonic() + limits.network
        self._attempt.limit(limits.network + limits.start)
        while not info.ip and info.status == "running":
            if clock.monotonic() >= until:
                if needed:
                    raise HostFault(f"no network address within {limits.network:g} seconds")
                return info
            await clock.sleep(limits.network_poll)
            info = await self._driver.info(self._name)
        return info

    async def _run_script(self, script: Script) -> ScriptResult | None:
        """Run it, once for ever; raises when it is monitored and failed."""
        self._check_in_time()
        record = self._attempt.record
        await self._attempt.keep(record.with_(script_begun=True))
        self._attempt.limit(script.timeout + SCRIPT_GRACE)
        return await run_startup(self._driver, self._name, script)
