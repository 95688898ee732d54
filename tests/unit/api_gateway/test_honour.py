import pytest

from api_gateway.domain.honour import objection
from contracts.instances import InstanceSpec
from contracts.templates import TemplateRef
from contracts.vms import Disk, Overrides


def spec(arch: str = "amd64", *, suspended: bool = False, **overrides) -> InstanceSpec:
    template = TemplateRef(
        id="t",
        name="base",
        tag="v1",
        version=0,
        arch=arch,
        repository="t",
        digest="d",
        suspended=suspended,
    )
    return InstanceSpec(template=template, overrides=Overrides(**overrides))


STOPPED_ONLY = {
    "vcpu": 2,
    "vram": 2048,
    "mac_address": "00:1A:2B:3C:4D:5E",
    "disk": Disk(size=1 << 30),
    "vlan_tag": "100",
    "hw_serial": "C02",
}


@pytest.mark.parametrize("field", STOPPED_ONLY)
def test_a_saved_state_takes_no_other_hardware(field):
    given = {field: STOPPED_ONLY[field]}
    refused = objection(spec(suspended=True, **given), 1, [])
    assert refused is not None
    assert refused.startswith(f"{field}: ")
    assert objection(spec(**given), 1, []) is None


def test_port_rules_fit_a_saved_state():
    assert objection(spec(suspended=True, port_forwarding_override=()), 1, []) is None


@pytest.mark.parametrize(
    ("field", "value"), [("usb_device", "iphones"), ("vlan_tag", "100"), ("vcpu", 2)]
)
def test_what_no_node_can_do_is_refused(field, value):
    wanted = spec(**{field: value})
    refused = objection(wanted, 1, [("vram",), ()])
    assert refused is not None
    assert refused.startswith(f"{field}: ")
    assert objection(wanted, 1, [("vram",), (field,)]) is None


def test_without_any_node_everything_may_wait():
    assert objection(spec(usb_device="iphones", hvapic="forceOn"), 1, []) is None


@pytest.mark.parametrize(
    "field", ["video_controller", "hvapic", "csr_active_config", "hw_serial", "hw_uuid"]
)
def test_intel_overrides_need_an_intel_template_and_host(field):
    assert objection(spec(**{field: "x"}), 1, [("video_controller",)]) is None
    no_host = objection(spec(**{field: "x"}), 1, [("vcpu",)])
    assert no_host is not None
    assert no_host.startswith(f"{field}: ")
    no_template = objection(spec("arm64", **{field: "x"}), 1, [])
    assert no_template is not None
    assert no_template.startswith(f"{field}: ")


def test_one_mac_address_serves_one_instance():
    wanted = spec(mac_address="00:1A:2B:3C:4D:5E")
    assert objection(wanted, 1, []) is None
    refused = objection(wanted, 2, [])
    assert refused is not None
    assert refused.startswith("mac_address: ")


@pytest.mark.parametrize("field", Overrides.__struct_fields__)
def test_every_override_is_refused_by_its_name_where_no_node_honours_it(field):
    refused = objection(spec(**{field: "x"}), 1, [()])
    assert refused == f"{field}: no node of this cloud supports it"
