"""Our own metrics, as a whole."""

import ast
from collections.abc import Iterator
from pathlib import Path

from embedded.metrics_table import OURS, PLACE, labels_of, name_of, ours, table
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
    assert page == PLACE.renewed(page, table()), "remedy: make metrics"


def test_no_label_grows_with_the_cloud():
    labels = {name_of(metric): set(labels_of(metric)) for metric in ours()}
    assert {name: found - WORDS for name, found in labels.items() if found - WORDS} == {}


def test_every_metric_that_is_declared_is_told():
    packages = [path for path in ROOT.glob("[dls]*/*/src/*") if (path / "__init__.py").exists()]
    modules = {
        package: [ast.parse(file.read_text()) for file in package.rglob("*.py")]
        for package in packages
    }
    metrics = {(package, name) for package in packages for name in declared(modules[package])}
    idle = {
        (package.name, name)
        for package, name in metrics
        if not any(name in used(module) for module in readers(package, modules))
    }
    assert len(metrics) == len(ours())
    assert idle == set()


def declared(modules: list[ast.Module]) -> Iterator[str]:
    """The names of a package's metrics."""
    for node in (node for module in modules for node in ast.walk(module)):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(args=[ast.Constant(value=str(told)), *_]),
            ) if told.startswith(OURS):
                yield name


def readers(package: Path, modules: dict[Path, list[ast.Module]]) -> list[ast.Module]:
    """Those which may tell a package's metrics: its own, and everybody for what all share."""
    if package.name == "chassis":
        return [module for found in modules.values() for module in found]
    return modules[package]


def used(module: ast.Module) -> set[str]:
    """Names that a module reads, its own or another's."""
    return {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(module)
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
