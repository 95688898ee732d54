"""The startup script of a VM that is up, and what its failure does."""

import structlog

from contracts.vms import Script, ScriptFailHandler, ScriptResult, VmInfo
from node_agent.drivers.port import DriverError, VmDriver, VmMissing

SCRIPT_GRACE = 60.0
"""Seconds beyond a script's own limit after which the driver is not waited for."""

_log = structlog.get_logger()


class ScriptFailed(Exception):
    """A startup script was begun and did not succeed."""

    def __init__(
        self, message: str, handler: ScriptFailHandler, result: ScriptResult | None = None
    ) -> None:
        super().__init__(message)
        self.result = result
        self._handler = handler

    async def settle(self, driver: VmDriver, name: str) -> VmInfo | None:
        """Do with the VM as its fail handler says; what is left of it, or None to delete it."""
        if self._handler is ScriptFailHandler.DELETE:
            return None
        try:
            if self._handler is ScriptFailHandler.STOP:
                await driver.stop(name)
            return await driver.info(name)
        except DriverError as error:
            _log.warning("vm.fail_handler_failed", vm=name, error=str(error))
            return None


def interrupted(script: Script | None) -> ScriptFailed:
    """The failure of a script during which the agent was killed."""
    handler = ScriptFailHandler.DELETE
    if script is not None and script.monitored:
        handler = script.fail_handler
    return ScriptFailed("startup script interrupted", handler)


async def run_startup(driver: VmDriver, name: str, script: Script) -> ScriptResult | None:
    """Its result, if that is monitored. Raises ScriptFailed, or VmMissing."""
    try:
        result = await driver.run_script(name, script.body, script.timeout, kill=script.monitored)
    except VmMissing:
        raise
    except DriverError as error:
        if script.monitored:
            raise ScriptFailed(f"startup script: {error}", script.fail_handler) from error
        _log.warning("vm.script_lost", vm=name, error=str(error))
        return None
    runs_on = result.did_timeout and not script.monitored
    _log.info("vm.script_ended", vm=name, code=result.return_code, runs_on=runs_on)
    if not script.monitored:
        return None
    if result.return_code != 0 or result.did_timeout:
        message = f"startup script exit code {result.return_code}"
        raise ScriptFailed(message, script.fail_handler, result)
    return result
