from api_gateway.domain.membership import makes_cycle
from contracts.groups import GroupDocument


def groups(**fallbacks: str | None) -> dict[str, GroupDocument]:
    return {
        name: GroupDocument(id=name, name=name, fallback_group_id=fallback)
        for name, fallback in fallbacks.items()
    }


def test_a_chain_that_comes_back_is_a_cycle():
    known = groups(a=None, b="a", c="b")
    assert makes_cycle(known, "a", "c")
    assert makes_cycle(known, "a", "b")
    assert not makes_cycle(known, "c", "a")


def test_a_cycle_elsewhere_ends_the_walk():
    assert not makes_cycle(groups(a="b", b="a", c=None), "c", "a")


def test_an_unknown_group_ends_the_walk():
    assert not makes_cycle(groups(a=None), "a", "gone")
