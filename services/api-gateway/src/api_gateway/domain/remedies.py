"""What would let a waiting instance start, for each reason that the scheduler gives."""

REMEDIES = {
    "nodes": "Join a node with corral-agent join.",
    "pinned": "Bring the node back that node_id names, or start without node_id.",
    "group": "Add nodes to the node group with POST /api/v1/node/group, or give it a fallback.",
    "architecture": "Join a node of the template's architecture, or use another template.",
    "online": "Bring the node back: its agent, or the network to it, is down.",
    "licence": "Renew the licence of the node's hypervisor.",
    "updating": "Wait until the node's agent has updated itself.",
    "drain": "End the drain mode with drain_mode of POST /api/v1/node/config.",
    "clock": "Set the node's clock, best by NTP.",
    "capability": "Start without the override, or join a node whose driver can honour it.",
    "vlan": "Configure the VLAN on a node, or start without vlan_tag.",
    "usb": "Wait until a VM gives the device back, or connect another to a node.",
    "capacity": (
        "Wait until a VM ends, or raise max_vm_count (in capacity mode resource vcpu_override and"
        " ram_override) of a node with POST /api/v1/node/config, or join another node."
    ),
    "permission": "Grant the use of a node to the permission group that the start names.",
    "quota": "Wait until a VM of the node group ends, or raise the group's quota.",
    "mac": "Wait until a VM gives its MAC address back, or widen CORRAL_MAC_ADDR_RANGE.",
}

OTHER = "Wait: the scheduler tries again whenever a node or a node group changes."
"""For a reason of a newer scheduler."""
