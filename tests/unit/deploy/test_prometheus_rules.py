"""The rules and the configuration for Prometheus, tried by its own promtool."""

import subprocess
from collections import defaultdict

import pytest
import yaml

from api_gateway.config import Settings as GatewaySettings
from event_pusher.config import Settings as PusherSettings
from node_agent.config import AgentSettings
from registry.config import Settings as RegistrySettings
from scheduler.config import SchedulerSettings
from tests.prometheus import PROMETHEUS, hurried, program, rules

PORTS = {
    "corral-gateway": GatewaySettings().metrics_port,
    "corral-scheduler": SchedulerSettings().metrics_port,
    "corral-registry": RegistrySettings().metrics_port,
    "corral-event-pusher": PusherSettings().metrics_port,
    "corral-agent": AgentSettings().metrics_port,
}
ALERTS = [rule for rule in rules() if "alert" in rule]
CASES = sorted((PROMETHEUS / "tests").glob("*.yml"))


def promtool(*argv):
    done = subprocess.run(
        [program("promtool"), *argv], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def targets(name):
    listed = yaml.safe_load((PROMETHEUS / "targets" / f"{name}.yml").read_text())
    return {entry["labels"]["job"]: entry["targets"] for entry in listed}


def test_prometheus_takes_the_configuration_and_the_rules():
    promtool("check", "config", PROMETHEUS / "prometheus.yml")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_rules_do_what_their_tests_say(case):
    promtool("test", "rules", case)


def test_every_alert_is_tested_firing_and_quiet():
    seen = defaultdict(set)
    for case in CASES:
        for test in yaml.safe_load(case.read_text())["tests"]:
            for alert in test.get("alert_rule_test", ()):
                seen[alert["alertname"]].add(bool(alert["exp_alerts"]))
    assert seen == {rule["alert"]: {True, False} for rule in ALERTS}


def test_every_recorded_series_is_tested():
    tested = "".join(case.read_text() for case in CASES)
    recorded = [rule["record"] for rule in rules() if "record" in rule]
    used = "".join(rule["expr"] for rule in ALERTS)
    assert [name for name in recorded if f"expr: {name}" not in tested and name not in used] == []


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_what_is_wrong_and_what_to_do(rule):
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"].keys() == {"summary", "remedy"}


def test_separate_services_are_looked_for_on_their_default_ports():
    assert targets("loopback") == {job: [f"127.0.0.1:{port}"] for job, port in PORTS.items()}
    named = targets("named")
    assert {job: int(found[0].rpartition(":")[2]) for job, found in named.items()} == PORTS


def test_the_all_in_one_is_scraped_once():
    [found] = targets("all-in-one").values()
    assert found == [f"127.0.0.1:{PORTS['corral-gateway']}"]


def test_a_hurried_rule_waits_for_seconds_and_still_looks_at_weeks():
    assert hurried("expr: rate(x[10m]) > y[1w]\nfor: 15m") == "expr: rate(x[4s]) > y[1w]\nfor: 2s"
