"""Saving a VM as an image: script, suspend or stop, push; and running on when that fails."""

import structlog

from contracts.images import ImagePushed, PushImage
from contracts.templates import TemplateRef
from contracts.vms import VmInfo, VmPhase
from corral.registry import RegistryClient, RegistryError
from node_agent.domain.push import Push, succeeded, trimmed
from node_agent.drivers.port import Capability, DriverError, HostFault
from node_agent.host import Host
from node_agent.image_push import ImagePush
from node_agent.image_source import LocalImage
from node_agent.limit import within
from node_agent.reports import Reports
from node_agent.startup_script import SCRIPT_GRACE
from node_agent.vm import Vm

SCRIPT_FAILED = "Script execution failed"
"""The documented message."""

_UNFORESEEN = "the agent met an error that it does not know, see its log"

_log = structlog.get_logger()


def objection(host: Host, vm: Vm, order: PushImage) -> str:
    """Why this VM cannot be saved; empty when it can."""
    capabilities, driver = host.driver.capabilities, host.driver.name
    if Capability.COMMIT not in capabilities:
        return f"saving images is not supported by the {driver} driver"
    if order.suspend and Capability.SUSPEND not in capabilities:
        return f"suspending is not supported by the {driver} driver"
    return "" if vm.phase is VmPhase.RUNNING else "the VM does not run"


def begin(host: Host, vm: Vm) -> None:
    """Carry out what the record says is to be saved, or go on where a killed agent stopped."""
    push = vm.record.saving
    if push is not None:
        vm.work.begin(_Saving(host, vm, push).carry_out, vm.record.log_ids)


def tell(host: Host, vm: Vm, push: Push) -> None:
    """Say how a save ended until the bus has it; said again when asked for."""
    assert push.outcome is not None

    def settle(_confirmed: object) -> None:
        known = vm.record.push(push.request_id)
        if known is not None and not known.confirmed:
            vm.put(vm.record.with_push(known.with_(confirmed=True)))

    telling = host.publisher.tell(push.outcome)
    telling.confirmed.add_done_callback(settle)


class _ScriptFailed(Exception):
    """The script before a save failed, and was not to."""


class _Saving:
    """One save; cancelled at any await by a StopVm, killed at any moment."""

    def __init__(self, host: Host, vm: Vm, push: Push) -> None:
        self._host = host
        self._vm = vm
        self._push = push
        self._order = push.order

    async def carry_out(self) -> None:
        """Bring it to an outcome, and say that."""
        self._vm.moved(VmPhase.SAVING)
        if self._push.error:
            await self._run_on(self._push.error)
            return
        try:
            push, digest = await within(self._host.clock, self._time_left(), self._save())
        except _ScriptFailed:
            await self._end(error=SCRIPT_FAILED, script_failed=True)
        except (DriverError, RegistryError) as error:
            await self._run_on(str(error))
        except TimeoutError:
            await self._run_on("saving took too long")
        except Exception:
            _log.exception("image.save_failed", instance=self._order.instance_id)
            await self._run_on(_UNFORESEEN)
        else:
            await self._keep_in_cache(push, digest)
            await self._end(digest=digest)

    async def _save(self) -> tuple[ImagePush, str]:
        """What was pushed, and the digest of the new manifest."""
        order, limits = self._order, self._host.limits
        await self._run_script()
        await self._note(begun=True)
        driver, name = self._host.driver, self._vm.record.vm_name
        saving = driver.save(name, suspend=order.suspend, test=order.suspend_sanity_test)
        image = await within(self._host.clock, limits.save, saving)
        async with RegistryClient(
            order.registry, root_token=self._host.root_token, tries=limits.registry_tries
        ) as client:
            push = ImagePush(client, order, image, self._moved)
            return push, await push.push()

    async def _run_script(self) -> None:
        """Run it, once for ever; _ScriptFailed when it failed and that counts."""
        script, push = self._order.script, self._push
        if script is None:
            return
        if push.script_result is None:
            if push.script_begun:
                raise HostFault("the script was interrupted")
            await self._note(script_begun=True)
            name, limit = self._vm.record.vm_name, script.timeout + SCRIPT_GRACE
            running = self._host.driver.run_script(name, script.body, script.timeout)
            result = await within(self._host.clock, limit, running)
            await self._note(script_result=trimmed(result))
        assert self._push.script_result is not None
        failed = not succeeded(self._push.script_result)
        if failed and self._order.cancel_on_script_failure:
            raise _ScriptFailed

    async def _keep_in_cache(self, push: ImagePush, digest: str) -> None:
        """This node has all of the new tag; a start of it here need not ask the registry."""
        order = self._order
        template = TemplateRef(
            id=order.template_id or order.repository,
            name=order.template_name,
            tag=order.tag,
            version=0,
            arch=push.config.arch,
            repository=order.repository,
            digest=digest,
            size=sum(blob.size for blob in push.manifest.blobs),
        )
        try:
            await self._host.images.keep(template, LocalImage(push.content, push.files))
        except Exception as error:
            _log.warning("image.not_cached", template=order.template_name, error=repr(error))

    async def _run_on(self, error: str) -> None:
        """Have the VM run as before, and say what went wrong."""
        _log.warning("image.save_failed", instance=self._order.instance_id, reason=error)
        if not self._push.begun:
            await self._end(error=error)
            return
        await self._note(error=error)
        host = self._host
        try:
            async with host.workers.boot():
                starting = host.driver.start(self._vm.record.vm_name)
                limit = host.limits.start + host.limits.state
                self._vm.info = await within(host.clock, limit, starting)
        except TimeoutError:
            error = f"{error}; and the VM could not be started again: it takes too long"
        except DriverError as again:
            error = f"{error}; and the VM could not be started again: {again}"
        except Exception:
            _log.exception("image.run_on_failed", instance=self._order.instance_id)
            error = f"{error}; and the VM could not be started again: {_UNFORESEEN}"
        await self._end(error=error)

    async def _end(self, *, digest: str = "", error: str = "", script_failed: bool = False) -> None:
        """Have the outcome durable, then say it."""
        vm, order = self._vm, self._order
        info = await self._info()
        outcome = ImagePushed(
            node_id=order.node_id,
            at=self._host.clock.now(),
            request_id=order.request_id,
            instance_id=order.instance_id,
            attempt=order.attempt,
            digest=digest,
            error=error,
            script_failed=script_failed,
            script_result=self._push.script_result,
            info=Reports(self._host).stamped(info) if error and info else None,
        )
        await self._note(outcome=outcome)
        if info is not None:
            vm.info = info
        runs = info is not None and info.status == "running"
        vm.moved(VmPhase.RUNNING if runs else VmPhase.STOPPED)
        _log.info("image.saved", instance=order.instance_id, digest=digest, error=error)
        tell(self._host, vm, self._push)

    async def _info(self) -> VmInfo | None:
        try:
            return await self._host.driver.info(self._vm.record.vm_name)
        except Exception as error:
            _log.warning("image.vm_unknown", instance=self._order.instance_id, error=repr(error))
            return None

    async def _note(self, **changes: object) -> None:
        """Have it durable how far this is."""
        self._push = self._push.with_(**changes)
        await self._vm.keep(self._vm.record.with_push(self._push))

    def _moved(self, share: float) -> None:
        self._vm.moved(VmPhase.SAVING, share)

    def _time_left(self) -> float:
        until = self._order.valid_until
        if until is None:
            return self._host.limits.whole_save
        return max(0.0, (until - self._host.clock.now()).total_seconds())
