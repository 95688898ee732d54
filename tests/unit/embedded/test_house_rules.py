import ast
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
