import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from embedded.message_table import PARTIES, PLACE, known_parties, table

ROOT = Path(__file__).parents[3]
LONGEST = 300


def sources() -> list[Path]:
    return [
        path
        for place in ("libs", "services", "deploy", "tests")
        for path in (ROOT / place).rglob("*.py")
    ]


def imported() -> set[str]:
    """The packages that tests name themselves, by what they are imported as."""
    found = set()
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    ours = {path.name for path in ROOT.glob("*/*/src/*")} | {"tests"}
    return {name.partition(".")[0] for name in found} - sys.stdlib_module_names - ours


def declared() -> set[str]:
    """What the members of the workspace and its tools require, without versions and extras."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    wanted = [*tools]
    for member in ROOT.glob("*/*/pyproject.toml"):
        wanted += tomllib.loads(member.read_text())["project"]["dependencies"]
    return {plain(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in wanted}


def plain(name: str) -> str:
    """A distribution's name in its one spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_no_file_is_longer_than_a_reader_can_hold():
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in sources()}
    assert {p: n for p, n in lengths.items() if n > LONGEST} == {}


def test_every_module_says_what_it_is_for():
    modules = [path for path in sources() if "tests" not in path.relative_to(ROOT).parts]
    assert [str(p) for p in modules if not ast.get_docstring(ast.parse(p.read_text()))] == []


def test_message_table_is_current():
    page = (ROOT / "ARCHITECTURE.md").read_text()
    assert page == PLACE.renewed(page, table()), "remedy: make messages"


def test_the_parties_of_messages_are_current():
    assert PARTIES.read_bytes() == known_parties(), "remedy: make messages"


def test_requirements_name_no_index():
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert "--index" not in text


def test_what_tests_import_is_required_by_name():
    known, distributions = declared(), packages_distributions()
    homes = {name: set(map(plain, distributions.get(name, ()))) for name in imported()}
    assert {name for name, home in homes.items() if not home & known} == set()
