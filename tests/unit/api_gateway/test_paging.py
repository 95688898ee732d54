from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.domain.fields import BadField
from api_gateway.domain.paging import Page, cursor_of, read_page
from api_gateway.listing import Listing, listing_of

PLACES = st.tuples(st.integers(0, 2**53), st.text(max_size=40))


def _query(**given: str):
    return lambda name: (given[name],) if given.get(name) else ()


def _list(places: list[tuple[int, str]], page: Page) -> Listing:
    return listing_of(places, lambda place: (repr(place).encode(), b"d"), page, lambda place: place)


@given(st.lists(PLACES, unique=True).map(sorted), st.integers(1, 7))
def test_pages_are_the_list_cut_in_pieces(places, limit):
    pages: list[bytes] = []
    page = Page(limit=limit)
    while True:
        part = _list(places, page)
        assert len(part.items) <= limit
        assert part.total == len(places)
        pages += part.items
        if part.after is None:
            break
        page = read_page(_query(limit=str(limit), after=part.after))
    assert pages == _list(places, Page()).items


@given(PLACES)
def test_a_cursor_is_read_as_it_was_written(place):
    assert read_page(_query(after=cursor_of(place))).after == place


@given(st.text(min_size=1))
def test_no_text_is_a_cursor_unless_it_names_a_place(text):
    with suppress(BadField):
        assert isinstance(read_page(_query(after=text)).after, tuple)


def test_a_place_between_elements_is_as_good_as_an_element():
    places = [(1, "a"), (3, "c")]
    assert _list(places, Page(after=(2, "b"))).items == [repr((3, "c")).encode()]


@pytest.mark.parametrize("limit", ["0", "10001", "-1", "1.0", "1e3", " 1", "²"])
def test_a_limit_is_a_number_within_bounds(limit):
    with pytest.raises(BadField, match=r"^limit: "):
        read_page(_query(limit=limit))
