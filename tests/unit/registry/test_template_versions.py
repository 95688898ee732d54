from datetime import UTC, datetime, timedelta

from contracts.artifacts import (
    CONFIG_TYPE,
    DISK_TYPE,
    STATE_TYPE,
    Descriptor,
    Manifest,
    TemplateConfig,
    template_id_of,
)
from registry.domain.template import Push, find, pulled, pushed, reverted, untagged

AT = datetime(2031, 5, 4, 10, tzinfo=UTC)
CONFIG = Descriptor(media_type=CONFIG_TYPE, digest="sha256:c", size=10)


def a_push(tag, digest, layers, at=AT, **config):
    kinds = {"s": STATE_TYPE}
    return Push(
        repository="team/base",
        tag=tag,
        digest=digest,
        manifest=Manifest(
            config=CONFIG,
            layers=tuple(
                Descriptor(media_type=kinds.get(name[0], DISK_TYPE), digest=name, size=size)
                for name, size in layers.items()
            ),
        ),
        config=TemplateConfig(**({"name": "base"} | config)),
        at=at,
    )


def pushes(*every):
    template = None
    for push in every:
        template = pushed(template, push)
    return template


def test_numbers_count_the_pushes_from_zero():
    template = pushes(*(a_push(f"v{n}", f"m{n}", {"a": 1}) for n in range(3)))
    assert [(v.number, v.tag) for v in template.versions] == [(0, "v0"), (1, "v1"), (2, "v2")]


def test_size_is_over_the_union_of_blobs():
    template = pushes(
        a_push("v1", "m1", {"a": 100, "b": 20}), a_push("v2", "m2", {"a": 100, "b": 20, "c": 7})
    )
    assert [version.size for version in template.versions] == [130, 137]
    assert template.size == 137


def test_images_are_listed_newest_first_and_states_apart():
    version = pushes(a_push("v1", "m1", {"base": 1, "top": 2, "state": 3})).versions[0]
    assert version.images == ("top", "base")
    assert version.state_files == ("state",)


def test_a_tag_pushed_anew_takes_a_new_number_and_its_old_version_goes():
    template = pushes(
        a_push("v1", "m1", {"a": 1}), a_push("v2", "m2", {"a": 1}), a_push("v1", "m3", {"b": 5})
    )
    assert [(v.number, v.tag, v.digest) for v in template.versions] == [
        (1, "v2", "m2"),
        (2, "v1", "m3"),
    ]


def test_the_same_content_pushed_again_is_a_repeat():
    later = AT + timedelta(hours=1)
    template = pushes(a_push("v1", "m1", {"a": 1}), a_push("v1", "m1", {"a": 1}, at=later))
    assert len(template.versions) == 1
    assert template.next_number == 1
    assert template.versions[0].created == AT
    assert template.versions[0].last_push == template.last_push == later


def test_the_latest_push_names_the_template():
    template = pushes(
        a_push("v1", "m1", {"a": 1}), a_push("v2", "m2", {"a": 1}, name="renamed", arch="arm64")
    )
    assert (template.name, template.arch) == ("renamed", "arm64")


def test_revert_removes_the_target_and_everything_newer():
    template = reverted(pushes(*(a_push(f"v{n}", f"m{n}", {f"b{n}": 1}) for n in range(4))), 2)
    assert [v.number for v in template.versions] == [0, 1]
    assert template.size == 12


def test_a_number_is_not_used_again_after_a_revert():
    template = reverted(pushes(a_push("v0", "m0", {"a": 1}), a_push("v1", "m1", {"a": 1})), 1)
    assert [v.number for v in pushed(template, a_push("v1", "m2", {"a": 1})).versions] == [0, 2]


def test_untagged_removes_by_tag():
    template = pushes(a_push("v0", "m0", {"a": 1}), a_push("v1", "m1", {"a": 1}))
    assert [v.tag for v in untagged(template, ["v0"]).versions] == ["v1"]


def test_a_pull_moves_version_and_template_and_an_older_one_nothing():
    template = pushes(a_push("v0", "m0", {"a": 1}), a_push("v1", "m1", {"a": 1}))
    moved = pulled(template, {"m0": AT, "gone": AT})
    assert [v.last_pull for v in moved.versions] == [AT, None]
    assert moved.last_pull == AT
    assert pulled(moved, {"m0": AT - timedelta(seconds=1)}) is moved


def test_find_takes_tag_then_number_then_the_latest():
    template = pushes(a_push("v0", "m0", {"a": 1}), a_push("v1", "m1", {"a": 1}))
    assert find(template).tag == "v1"
    assert find(template, number=0).tag == "v0"
    assert find(template, tag="v0").number == 0
    assert find(template, tag="nope") is None
    assert find(template, number=7) is None


def test_a_template_pushed_after_its_removal_is_newer_than_all_before():
    before = pushes(a_push("v0", "m0", {"a": 1}))
    after = pushes(a_push("v0", "m0", {"a": 1}, at=AT + timedelta(seconds=1)))
    assert after.revision > before.revision
    assert before.id == after.id == template_id_of("team/base")
