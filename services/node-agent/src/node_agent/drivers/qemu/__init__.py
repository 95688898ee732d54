"""Real VMs through QEMU on a Linux host."""

from node_agent.drivers.qemu.driver import QemuDriver

__all__ = ["QemuDriver"]
