"""The dashboards for Grafana."""

import runpy
from collections import Counter

import pytest
import yaml

from tests.prometheus import GRAFANA, expressions, metrics_in, panels, rules


def test_the_files_are_what_the_table_of_panels_says():
    written = runpy.run_path(str(GRAFANA / "dashboards.py"))["dashboards"]()
    found = {file: file.read_text() for file in (GRAFANA / "dashboards").iterdir()}
    assert found == written, "remedy: make dashboards"


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_every_expression_parses_and_asks_for_a_metric(expression):
    assert metrics_in(expression)


def test_what_is_no_expression_is_found_out():
    with pytest.raises(ValueError, match="unclosed"):
        metrics_in("sum(rate(x[5m])")


def test_what_is_asked_of_recorded_series_is_recorded():
    asked = {name for expression in expressions() for name in metrics_in(expression)}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert {name for name in asked if ":" in name} <= recorded


def test_every_panel_has_a_title_a_place_and_a_legend_where_it_is_a_graph():
    for panel in panels():
        legends = [target["legendFormat"] for target in panel["targets"]]
        assert panel["title"]
        assert panel["type"] == ("timeseries" if all(legends) else "stat"), panel["title"]
        assert len(legends) == len(set(legends)), panel["title"]


def test_no_two_dashboards_and_no_two_panels_of_one_are_in_the_same_place():
    for file in (GRAFANA / "dashboards").iterdir():
        board = yaml.safe_load(file.read_text())
        assert board["uid"] == f"corral-{file.stem}"
        places = Counter((p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"])
        assert set(places.values()) == {1}, file
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_grafana_is_told_where_the_dashboards_and_the_figures_are():
    provisioning = GRAFANA / "provisioning"
    [provider] = yaml.safe_load((provisioning / "dashboards/corral.yml").read_text())["providers"]
    assert provider["options"]["path"].endswith("/dashboards")
    sources = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())
    assert [source["type"] for source in sources["datasources"]] == ["prometheus"]
