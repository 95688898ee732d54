import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.domain.go_base64 import CorruptInput, decode


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", b""),
        ("\r\n", b""),
        ("Zm9v", b"foo"),
        ("Zm8=", b"fo"),
        ("Zg==", b"f"),
        ("Zg=\n=\n", b"f"),
        ("Zm\r\n9v\n", b"foo"),
        ("Zh==", b"f"),
        ("+/+/", b"\xfb\xff\xbf"),
    ],
)
def test_what_go_reads_is_read(text, meaning):
    assert decode(text) == meaning


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("?", 0),
        ("Zm9v?", 4),
        ("Zm 9v", 2),
        ("-_-_", 0),
        ("Zm9vé", 4),
        ("====", 0),
        ("Z===", 1),
        ("Z", 0),
        ("Zm9vZ", 4),
        ("Zm9vZm8", 4),
        ("Zm9v\nZm8", 5),
        ("Zg=", 3),
        ("Zg=\n", 4),
        ("Zg=v", 2),
        ("Zg==Zg==", 4),
        ("Zm8=Zm8=", 4),
        ("Zm9v=", 4),
        ("Z?\n", 1),
    ],
)
def test_an_error_names_the_byte_that_go_names(text, offset):
    with pytest.raises(CorruptInput, match=f"illegal base64 data at input byte {offset}$"):
        decode(text)


@given(st.text(alphabet="AZaz09+/=\r\n ?é", max_size=12))
def test_every_text_means_something_or_is_corrupt_within_its_bytes(text):
    try:
        decode(text)
    except CorruptInput as error:
        assert 0 <= error.offset <= len(text.encode())  # noqa: PT017 -- both ends are fine
