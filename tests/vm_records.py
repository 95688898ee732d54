"""What the qemu driver keeps of a VM, for tests that start none."""

from contracts.artifacts import CONFIG_TYPE, Descriptor, Manifest, TemplateConfig, digest_of
from contracts.templates import TemplateRef
from contracts.vms import PortRule
from node_agent.drivers.qemu.folder import VmRecord
from tests.clock import START


def a_record(name: str = "vm") -> VmRecord:
    """Of a VM with one forwarded port."""
    return VmRecord(
        name=name,
        uuid="11111111-2222-3333-4444-555555555555",
        template=TemplateRef(
            id="t", name="t", tag="v1", version=0, arch="amd64", repository="t", digest=""
        ),
        manifest=Manifest(
            config=Descriptor(media_type=CONFIG_TYPE, digest=digest_of(b""), size=0), layers=()
        ),
        config=TemplateConfig(name="t"),
        cpu=1,
        ram_mb=128,
        mac_address="52:54:00:00:00:01",
        machine="q35",
        ports=(PortRule(name="ssh", guest_port=22),),
        host_ports=(10000,),
        vnc_password="secret",
        created=START,
    )
