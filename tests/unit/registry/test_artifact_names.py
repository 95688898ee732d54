import uuid

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.artifacts import REFERENCE_PATTERN, reference_of, tag_of_reference, template_id_of

REFERENCES = st.from_regex(REFERENCE_PATTERN, fullmatch=True)


@given(st.text())
def test_every_tag_has_a_reference_that_the_oci_grammar_allows(tag):
    assert REFERENCE_PATTERN.fullmatch(reference_of(tag))


@given(st.text())
def test_a_reference_with_its_annotation_tells_the_tag(tag):
    assert tag_of_reference(reference_of(tag), tag) == tag


@given(st.text(max_size=10))
def test_a_short_tag_comes_back_from_its_reference_alone(tag):
    assert tag_of_reference(reference_of(tag)) == tag


@given(st.text(max_size=50), st.text(max_size=50))
def test_two_tags_never_share_a_reference(one, other):
    assume(one != other)
    assert reference_of(one) != reference_of(other)


@given(REFERENCES)
def test_an_ordinary_oci_tag_is_its_own_reference(reference):
    assume(not reference.startswith(("_e.", "_h.")))
    assert reference_of(reference) == reference


@given(REFERENCES, st.text(max_size=40))
def test_an_annotation_that_does_not_fit_is_ignored(reference, annotation):
    assume(reference_of(annotation) != reference)
    assert tag_of_reference(reference, annotation) == tag_of_reference(reference)


@pytest.mark.parametrize(
    ("tag", "reference"),
    [
        ("v1.2", "v1.2"),
        ("base:port-forward-22", "_e.base.3aport-forward-22"),
        ("a+b", "_e.a.2bb"),
        ("", "_e."),
    ],
)
def test_known_references_never_change(tag, reference):
    assert reference_of(tag) == reference


def test_a_uuid_is_its_own_template_id_and_any_other_name_has_one():
    identity = str(uuid.uuid4())
    assert template_id_of(identity) == identity
    assert template_id_of("c983c3bf-a0c0-43dc-54dc-2fd9f7d62fce") == (
        "c983c3bf-a0c0-43dc-54dc-2fd9f7d62fce"
    )
    assert uuid.UUID(template_id_of(identity.replace("-", ""))) != uuid.UUID(identity)
    assert template_id_of("team/base") == template_id_of("team/base") != template_id_of("team/bas")
