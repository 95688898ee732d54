"""Real VMs through QEMU on a Linux host."""

from node_agent.drivers.qemu.driver import QemuDriver, QemuSettings

__all__ = ["QemuDriver", "QemuSettings"]
