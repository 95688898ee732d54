"""What a start asks for that nobody in the cloud can do, as far as known."""

from collections.abc import Collection, Iterable

from contracts.instances import InstanceSpec
from contracts.templates import TemplateRef
from contracts.vms import Overrides

_STOPPED_ONLY = (
    "vcpu",
    "vram",
    "mac_address",
    "disk",
    "vlan_tag",
    "video_controller",
    "hvapic",
    "csr_active_config",
    "hw_serial",
    "hw_uuid",
)
"""Overrides that a saved state cannot take (documented: the template must be stopped)."""

_INTEL_ONLY = ("video_controller", "hvapic", "csr_active_config", "hw_serial", "hw_uuid")
_INTEL = "video_controller"
"""The capability that stands for all Intel-only overrides."""

_FIELDS = Overrides.__struct_fields__
_AMD64 = "amd64"


def objection(
    spec: InstanceSpec, count: int, capabilities: Iterable[Collection[str]]
) -> str | None:
    """Why this start can never succeed, naming the field; None when it may.

    ``capabilities``: those of each node that may take it; none known means wait and see.
    """
    overrides = spec.overrides
    asked = [name for name in _FIELDS if getattr(overrides, name) is not None]
    if not asked:
        return None
    return (
        _against_template(asked, spec.template)
        or _against_nodes(asked, list(capabilities))
        or _against_count(overrides, count)
    )


def _against_template(asked: list[str], template: TemplateRef) -> str | None:
    for name in asked:
        if template.suspended and name in _STOPPED_ONLY:
            return f"{name}: works only with a stopped template, tag {template.tag} is suspended"
        if name in _INTEL_ONLY and template.arch != _AMD64:
            return f"{name}: works only with an Intel template, this one is {template.arch}"
    return None


def _against_nodes(asked: list[str], capabilities: list[Collection[str]]) -> str | None:
    """Each override alone must be possible somewhere; whether all meet is for the scheduler."""
    if not capabilities:
        return None
    for name in asked:
        needed = _INTEL if name in _INTEL_ONLY else name
        if not any(needed in known for known in capabilities):
            return f"{name}: no node of this cloud supports it"
    return None


def _against_count(overrides: Overrides, count: int) -> str | None:
    if overrides.mac_address is not None and count > 1:
        return f"mac_address: one address cannot serve {count} instances"
    return None
