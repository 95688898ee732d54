"""The shell in a simulated guest: ``sleep N``, ``echo TEXT`` and ``exit N``, one a line."""

from chassis.clock import Clock
from contracts.vms import ScriptResult

_BAD_WORD = 2
_TIMED_OUT = -1


async def run(script: bytes, timeout: float, delay: float, clock: Clock) -> ScriptResult:
    """What comes of the script after the seconds it sleeps and ``delay``, ``timeout`` at most."""
    code, seconds, said = _read(script)
    seconds += delay
    if seconds:
        await clock.sleep(min(seconds, timeout))
    if seconds > timeout:
        return ScriptResult(return_code=_TIMED_OUT, did_timeout=True, stdout=said)
    return ScriptResult(return_code=code, stdout=said)


def _read(script: bytes) -> tuple[int, float, str]:
    """Exit code, seconds and output."""
    seconds, said = 0.0, ""
    for line in script.decode(errors="replace").splitlines():
        word, _, rest = line.strip().partition(" ")
        try:
            if word == "exit":
                return int(rest or 0), seconds, said
            if word == "sleep":
                seconds += float(rest)
        except ValueError:
            return _BAD_WORD, seconds, said
        if word == "echo":
            said += rest + "\n"
    return 0, seconds, said
