import json
from typing import Any

import pytest

from api_gateway.public import instances
from contracts.instances import Attempt, InstanceState, Reason
from contracts.vms import Overrides, Script, ScriptResult
from tests.unit.api_gateway.documents import EPOCH, instance_spec, instance_status, vm_info

MINIMUM = {
    "instance_id",
    "instance_state",
    "anka_registry",
    "vmid",
    "ts",
    "cr_time",
    "progress",
    "vlan",
    "tag",
    "arch",
}


def flat(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return json.loads(
        instances.flat("i", EPOCH, instance_spec(**(spec or {})), instance_status(**status))
    )


def test_empty_fields_are_left_out_never_null():
    vm = flat()
    assert set(vm) == MINIMUM
    assert None not in vm.values()
    assert vm["cr_time"] == "2031-05-04T10:00:00Z"


def test_the_wrapper_shows_unset_names_as_null():
    spec = instance_spec()
    wrapped = json.loads(instances.wrapped("i", spec, b"{}"))
    assert wrapped == {"instance_id": "i", "external_id": None, "name": None, "vm": {}}


@pytest.mark.parametrize(("progress", "text"), [(0.0, b"0"), (1.0, b"1"), (0.42, b"0.42")])
def test_progress_has_no_fraction_when_whole(progress, text):
    raw = instances.flat("i", EPOCH, instance_spec(), instance_status(progress=progress))
    assert b'"progress":' + text + b"," in raw


def test_a_requested_version_shows_even_when_zero():
    assert flat({"wanted_version": 0})["version"] == 0


@pytest.mark.parametrize("state", InstanceState)
def test_a_wish_to_terminate_shows_at_once(state):
    shown = flat({"terminate": True}, state=state)["instance_state"]
    assert shown == ("Terminated" if state == "Terminated" else "Terminating")


@pytest.mark.parametrize("arch", ["", "riscv64", "darwin"])
def test_an_unknown_architecture_is_left_out(arch):
    assert "arch" not in flat({"arch": arch})


def test_vminfo_is_complete_when_there():
    info = flat(state="Started", node_id="n", vminfo=vm_info())["vminfo"]
    texts = ("uuid", "name", "status", "version", "ip", "host_ip", "node_id", "ram")
    assert all(isinstance(info[name], str) for name in texts)
    assert info["node_id"] == "n"
    assert info["vnc_port"] == info["cpu_cores"] == 0
    dates = ("creation_date", "access_date", "start_date", "stop_date", "timestamp")
    assert {info[name] for name in dates} == {"0001-01-01T00:00:00Z"}
    assert "port_forwarding" not in info
    assert "vnc_connection_string" not in info


@pytest.mark.parametrize(("mib", "text"), [(4096, "4G"), (512, "512M"), (1536, "1536M"), (0, "0M")])
def test_memory_is_text(mib, text):
    assert flat(vminfo=vm_info(ram_mb=mib))["vminfo"]["ram"] == text


def test_a_vnc_port_comes_with_its_connection_string():
    info = vm_info(host_ip="10.0.0.21", vnc_port=5901, vnc_password="admin")
    shown = flat(vminfo=info)["vminfo"]
    assert shown["vnc_connection_string"] == "vnc://:admin@10.0.0.21:5901"


def test_a_script_result_shows_only_when_monitored():
    result = ScriptResult(return_code=127, stderr="not found")
    for monitored in (True, False):
        script = Script(body=b"", monitored=monitored)
        vm = flat({"script": script}, state="Error", script_result=result, message="code 127")
        assert vm["message"] == "code 127"
        assert ("startup_script" in vm) is monitored
    vm = flat({"script": Script(body=b"", monitored=True)}, script_result=result)
    assert vm["startup_script"] == {
        "return_code": 127,
        "did_timeout": False,
        "stdout": "",
        "stderr": "not found",
    }


def test_waiting_has_reasons_and_no_message():
    reasons = (Reason(filter="capacity", message="2 nodes are full", nodes=2),)
    vm = flat(message="earlier failure", reasons=reasons)
    assert "message" not in vm
    assert vm["reasons"] == [{"filter": "capacity", "message": "2 nodes are full", "nodes": 2}]
    assert "reasons" not in flat(state="Started", reasons=reasons)


def test_attempts_show_with_their_failures():
    attempts = (Attempt(number=1, node_id="n", placed=EPOCH, failure="no space"),)
    assert flat(attempts=attempts)["attempts"] == [
        {"number": 1, "node_id": "n", "placed": "2031-05-04T10:00:00Z", "failure": "no space"}
    ]


def test_requested_hardware_shows():
    overrides = Overrides(vlan_tag="100", usb_device="iphones", mac_address="00:1A:2B:3C:4D:5E")
    vm = flat({"overrides": overrides, "start_request_id": "req", "group_id": "g"})
    assert (vm["vlan"], vm["usb_device"], vm["inflight_reqid"]) == ("100", "iphones", "req")
    assert (vm["mac_address"], vm["group_id"]) == ("00:1A:2B:3C:4D:5E", "g")


def test_logs_of_a_failure_are_addresses_in_the_registry():
    paths = ("vm-1/console.log", "vm-1/agent.log")
    vm = flat({"registry": "http://reg.example:8089"}, failure_logs=paths)
    assert vm["failure_logs"] == [f"http://reg.example:8089/files/logs/{path}" for path in paths]
