"""Nothing that the API page documents is without an example."""

import pytest

from tests.golden.deviations import known
from tests.golden.examples import examples
from tests.golden.page import documented, sections, uncovered, unknown
from tests.golden.table import PAGE, renewed

SECTIONS = {section.heading: section for section in sections()}


@pytest.mark.parametrize("heading", SECTIONS)
def test_a_section_of_the_page_is_wholly_covered(heading):
    assert list(uncovered(SECTIONS[heading])) == []
    assert list(unknown(SECTIONS[heading])) == []


def test_every_example_stands_under_a_heading_of_the_page():
    headings = {example.heading for example in examples()}
    assert headings - {"", *SECTIONS} == set()
    shown = sum(bool(example.shows) for example in examples())
    print(
        f"{len(examples())} examples, {shown} of them of the page's own, {len(SECTIONS)} headings"
    )


def test_deviations_name_examples_that_exist():
    names = {example.name for example in examples()}
    assert {name for d in known().deviation for name in d.examples} - names == set()


def test_a_misprint_is_on_the_page_and_means_what_an_example_sends():
    printed = {call for section in SECTIONS.values() for call in section.calls}
    sent = {documented(example.call) for example in examples()}
    for misprint in known().misprint:
        assert misprint.call in printed - sent
        assert misprint.means in sent


def test_the_table_of_calls_is_current():
    assert PAGE.read_text() == renewed(), "remedy: make calls"
