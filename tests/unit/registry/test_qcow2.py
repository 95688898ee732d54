import pytest

from registry.domain.qcow2 import BadLayer, check, name_of
from tests.registries import qcow2

BELOW = name_of("sha256:" + "a" * 64)
PARENT = b"a" * 64 + b".qcow2"


@pytest.mark.parametrize("version", [2, 3])
def test_a_plain_image_is_accepted_as_base(version):
    check(qcow2(version=version), below="")


def test_a_layer_names_the_layer_below_it():
    check(qcow2(backing=PARENT), below=BELOW)


@pytest.mark.parametrize("backing", [b"", b"b" * 64 + b".qcow2", b"a" * 64, b"A" * 64 + b".qcow2"])
def test_a_layer_that_names_another_or_none_is_refused(backing):
    with pytest.raises(BadLayer, match="must name the layer below it"):
        check(qcow2(backing=backing), below=BELOW)


@pytest.mark.parametrize(
    "backing",
    [
        b"/etc/shadow",
        b"../other.qcow2",
        b"dir/x.qcow2",
        b"json:{}",
        b"nbd://host/x",
        b"https:x",
        b".hidden",
        b"a\nb",
        b"\xff",
    ],
)
def test_a_backing_name_that_is_no_bare_file_name_is_refused(backing):
    with pytest.raises(BadLayer, match="bare file name"):
        check(qcow2(backing=backing), below=BELOW)


def test_the_base_layer_must_not_name_a_parent():
    with pytest.raises(BadLayer, match="base layer"):
        check(qcow2(backing=PARENT), below="")


def test_an_external_data_file_is_refused():
    with pytest.raises(BadLayer, match="external file"):
        check(qcow2(features=1 << 2), below="")


def test_other_incompatible_features_are_the_hypervisors_business():
    check(qcow2(features=(1 << 0) | (1 << 3)), below="")


@pytest.mark.parametrize(
    "head", [b"", b"QFI\xfb", b"MZ" * 100, qcow2(magic=b"QFI\0"), qcow2(version=9), qcow2()[:60]]
)
def test_what_is_no_qcow2_image_is_refused(head):
    with pytest.raises(BadLayer):
        check(head, below="")


def test_a_backing_name_beyond_the_header_is_refused():
    with pytest.raises(BadLayer, match="bare file name"):
        check(qcow2(backing=PARENT)[:520], below=BELOW)
