import base64
import json

import pytest

from api_gateway.domain.fields import BadField, Fields, parse_object
from api_gateway.domain.start_request import StartRequest, read_start_request
from contracts.vms import SCRIPT_TIMEOUT, Disk, PortRule, ScriptCondition, ScriptFailHandler


def read(**fields) -> StartRequest:
    body = {"vmid": "t", **fields}
    return read_start_request(Fields(body), len(json.dumps(body)))


def test_defaults_are_those_of_the_page():
    request = read()
    assert (request.count, request.priority, request.tag, request.version) == (1, 0, None, None)
    assert request.script is None


def test_numeric_strings_are_taken_where_clients_send_them():
    request = read(
        count="2",
        priority="7",
        version="0",
        port_forwarding_override=[{"name": "ssh", "guest_port": "22", "host_port": "8080"}],
    )
    assert (request.count, request.priority, request.version) == (2, 7, 0)
    rule = PortRule(name="ssh", guest_port=22, host_port=8080)
    assert request.overrides.port_forwarding_override == (rule,)


def test_whole_floats_are_integers():
    assert read(count=3.0, vcpu=4.0).overrides.vcpu == 4


def test_null_and_empty_text_count_as_absent():
    assert read(tag=None, group_id="", metadata=None, disk=None) == read()


def test_unknown_fields_are_ignored():
    assert read(flavour="large") == read()


def test_a_script_carries_its_settings():
    script = read(
        startup_script=base64.b64encode(b"exit 3").decode(),
        startup_script_condition=1,
        script_monitoring=True,
        script_timeout=5,
        script_fail_handler=2,
    ).script
    assert script is not None
    assert (script.body, script.monitored, script.timeout) == (b"exit 3", True, 5)
    assert script.condition is ScriptCondition.BOOTED
    assert script.fail_handler is ScriptFailHandler.DELETE


def test_a_script_that_is_not_monitored_has_the_usual_time():
    body = base64.b64encode(b"exit 3").decode()
    script = read(startup_script=body, script_timeout=5).script
    assert script is not None
    assert (script.monitored, script.timeout) == (False, SCRIPT_TIMEOUT)


def test_base64_may_be_wrapped():
    script = read(startup_script="c2xl\nZXAg\r\nNQ==\n").script
    assert script is not None
    assert script.body == b"sleep 5"


def test_a_disk_size_has_binary_units():
    disk = read(disk={"size": "256G", "skip_container_resize": True}).overrides.disk
    assert disk == Disk(size=256 << 30, skip_container_resize=True)
    assert [read(disk={"size": f"3{u}"}).overrides.disk.size for u in "KMT"] == [
        3 << 10,
        3 << 20,
        3 << 40,
    ]


def test_no_rules_is_not_the_same_as_no_override():
    assert read(port_forwarding_override=[]).overrides.port_forwarding_override == ()
    assert read().overrides.port_forwarding_override is None


BAD = {
    "vmid": [None, "", 7, ["x"]],
    "tag": [1, True, {}],
    "count": [0, 1001, -1, 1.5, "two", True, "1e3"],
    "priority": [0, 10001, "0", "high", False],
    "version": [-1, "latest", 0.5],
    "vcpu": [0, -1, "4", True],
    "vram": [0, -2048, "4G"],
    "script_timeout": [0, -1, "soon"],
    "startup_script": ["%%%", "abc", 5, "c2xl!"],
    "startup_script_condition": [2, -1, "0"],
    "script_fail_handler": [3, -1, "stop"],
    "script_monitoring": [1, "true"],
    "metadata": [[], "x", {"a": None}, {"a": [1]}, {"": 1}, {"a\0b": 1}],
    "metadata.big": [2**63],
    "mac_address": ["00:1a:2B:3C:4D:5E", "00-1A-2B-3C-4D-5E", "00:1A:2B:3C:4D", 7],
    "network_local": ["on"],
    "video_controller": ["vga"],
    "hvapic": ["yes"],
    "csr_active_config": ["forceOff"],
    "disk": ["256G", 256],
    "port_forwarding_override": [
        {},
        "22",
        [22],
        [{"name": "a", "guest_port": 1, "host_port": 5}] * 2,
    ],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in BAD.items() for value in values]
)
def test_bad_fields_are_named_with_what_was_expected(field, value):
    given = {"metadata": {"big": value}} if field == "metadata.big" else {field: value}
    with pytest.raises(BadField) as caught:
        read(**given)
    assert str(caught.value).startswith(f"{field}: ")


@pytest.mark.parametrize("size", ["256", "G", "0G", "-1G", "1.5G", "256GB", "256g", 256, ""])
def test_bad_disk_sizes_are_named(size):
    with pytest.raises(BadField, match=r"^disk\.size: "):
        read(disk={"size": size})


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"guest_port": 22}, "name"),
        ({"name": "ssh"}, "guest_port"),
        ({"name": "ssh", "guest_port": 0}, "guest_port"),
        ({"name": "ssh", "guest_port": 65536}, "guest_port"),
        ({"name": "ssh", "guest_port": "ssh"}, "guest_port"),
        ({"name": "ssh", "guest_port": 22, "host_port": 70000}, "host_port"),
        ({"name": "ssh", "guest_port": 22, "host_ip": 5}, "host_ip"),
    ],
)
def test_bad_port_rules_are_named_by_position(rule, field):
    good = {"name": "web", "guest_port": 80}
    with pytest.raises(BadField, match=rf"^port_forwarding_override\[1\]\.{field}: "):
        read(port_forwarding_override=[good, rule])


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"7", b'"x"', b"null", b"{'a':1}", b"[" * 100_000, b'{"a":NaN}']
)
def test_a_body_that_is_no_object_is_named(raw):
    with pytest.raises(BadField, match=r"^body: "):
        parse_object(raw)


def test_bodies_are_utf8_or_else_latin1():
    value = {"name": "café"}
    text = json.dumps(value, ensure_ascii=False)
    assert parse_object(text.encode()) == value
    assert parse_object(text.encode("latin-1")) == value
    assert parse_object(b"\xef\xbb\xbf" + text.encode()) == value


def test_one_request_stores_no_more_than_64_mib():
    assert read(name="x" * 60_000, count=1000).count == 1000
    with pytest.raises(BadField, match=r"^count: expected at most 9\d\d for a request"):
        read(name="x" * 70_000, count=1000)
