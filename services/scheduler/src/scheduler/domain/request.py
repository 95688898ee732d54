"""What placement needs to know of an instance; equal requests wait in one line."""

from collections.abc import Sequence

import msgspec

from contracts.instances import InstanceSpec

_OVERRIDES_NEEDING_SUPPORT = (
    "vcpu",
    "vram",
    "mac_address",
    "vlan_tag",
    "network_mode",
    "network_local",
    "port_forwarding_override",
    "disk",
    "vnc_password",
    "usb_device",
)
_INTEL_ONLY = ("video_controller", "hvapic", "csr_active_config", "hw_serial", "hw_uuid")
INTEL_CAPABILITY = "video_controller"
"""The one capability that stands for all overrides of Intel hosts."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """``vram`` in MiB; ``needs`` are capabilities a driver must have.

    ``fallback_ids``: groups that are as good as ``group_id``.
    ``mac_address``: the one to be held, "" for any, None for none; no node is asked about it.
    """

    arch: str
    template_id: str
    digest: str
    vcpu: int
    vram: int
    group_id: str = ""
    fallback_ids: tuple[str, ...] = ()
    node_id: str = ""
    permission_group: str = ""
    needs: frozenset[str] = frozenset()
    usb_device: str = ""
    vlan: str = ""
    mac_address: str | None = None

    def to_nodes(self) -> "Request":
        """The request as nodes are asked."""
        if self.mac_address is None:
            return self
        return msgspec.structs.replace(self, mac_address=None)

    def in_group(self, group_id: str) -> "Request":
        """The same request to another node group."""
        return msgspec.structs.replace(self, group_id=group_id)

    def in_any(self, group_ids: Sequence[str]) -> "Request":
        """The same request to several node groups at once."""
        first, *others = group_ids
        return msgspec.structs.replace(self, group_id=first, fallback_ids=tuple(others))


def request_of(spec: InstanceSpec, *, macs_managed: bool = False) -> Request:
    """The request that an instance's wish makes.

    ``macs_managed``: every VM gets an address from the pool, but for those that go on from a saved
    state, which cannot take one.
    """
    overrides = spec.overrides
    needs = {n for n in _OVERRIDES_NEEDING_SUPPORT if getattr(overrides, n) is not None}
    if any(getattr(overrides, name) is not None for name in _INTEL_ONLY):
        needs.add(INTEL_CAPABILITY)
    mac_address = overrides.mac_address
    if macs_managed and not spec.template.suspended:
        mac_address = mac_address or ""
        needs.add("mac_address")
    return Request(
        arch=spec.template.arch,
        template_id=spec.template.id,
        digest=spec.template.digest,
        vcpu=spec.vcpu,
        vram=spec.vram_mb,
        group_id=spec.group_id or "",
        node_id=spec.node_id or "",
        permission_group=spec.permission_group or "",
        needs=frozenset(needs),
        usb_device=overrides.usb_device or "",
        vlan=overrides.vlan_tag or "",
        mac_address=mac_address if macs_managed else None,
    )
