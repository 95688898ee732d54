"""Our own metrics, as a whole."""

from embedded.metrics_table import labels_of, name_of, ours, renewed
from tests.servers import ROOT

WORDS = {
    "arch",
    "code",
    "filter",
    "kind",
    "outcome",
    "path",
    "phase",
    "queue",
    "service",
    "source",
    "state",
    "verb",
    "version",
}
"""Labels that take few values, however large a cloud is."""


def test_the_page_about_metrics_is_current():
    page = (ROOT / "docs/metrics.md").read_text()
    assert page == renewed(page), "remedy: make metrics"


def test_no_label_grows_with_the_cloud():
    labels = {name_of(metric): set(labels_of(metric)) for metric in ours()}
    assert {name: found - WORDS for name, found in labels.items() if found - WORDS} == {}
