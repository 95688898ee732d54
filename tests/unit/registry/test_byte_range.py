import pytest

from registry.oci.content import byte_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("BYTES=5-5", (5, 6)),
        ("bytes=0-1,5-6", None),
        ("items=0-9", None),
        ("bytes=9-5", None),
        ("bytes=a-b", None),
        ("bytes=-", None),
        ("bytes=٣-", None),
    ],
)
def test_one_range_is_understood_and_anything_odd_means_all(header, expected):
    assert byte_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=200-300", "bytes=-0"])
def test_a_range_outside_of_the_content_is_an_error(header):
    with pytest.raises(ValueError, match="outside"):
        byte_range(header, 100)
