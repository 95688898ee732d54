"""Which overrides a driver must be able to honour."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from contracts.vms import Overrides
from node_agent.drivers.port import CannotHonour, Capability

_INTEL_ONLY = ("video_controller", "hvapic", "csr_active_config", "hw_serial", "hw_uuid")

NEEDS: Mapping[str, Capability] = MappingProxyType(
    {
        field.name: Capability.INTEL_ONLY if field.name in _INTEL_ONLY else Capability(field.name)
        for field in msgspec.structs.fields(Overrides)
    }
)
"""Override to capability, for every override there is."""

_NONE = Overrides()


def check_overrides(overrides: Overrides, capabilities: frozenset[Capability], driver: str) -> None:
    """Raise CannotHonour that names the first override the driver has no capability for."""
    if overrides == _NONE:
        return
    for name, capability in NEEDS.items():
        if getattr(overrides, name) is not None and capability not in capabilities:
            raise CannotHonour(f"{name}: not supported by the {driver} driver")
