"""The words of VmInfo.status, and which of QEMU's own run states is which."""

RUNNING, STOPPED, SUSPENDED, FAILED = "running", "stopped", "suspended", "failed"

_OF_MONITOR = {
    "prelaunch": STOPPED,
    "inmigrate": STOPPED,
    "paused": SUSPENDED,
    "suspended": SUSPENDED,
    "save-vm": SUSPENDED,
    "finish-migrate": SUSPENDED,
    "postmigrate": SUSPENDED,
    "io-error": FAILED,
    "internal-error": FAILED,
    "guest-panicked": FAILED,
    "shutdown": STOPPED,
}


def of_monitor(word: str) -> str:
    """What a run state of QEMU's monitor is called; a guest that never began is stopped."""
    return _OF_MONITOR.get(word, RUNNING)
