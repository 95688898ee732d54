"""Which members serve which requests, and what a claim makes of one."""

from datetime import UTC, datetime

import pytest

from api_gateway.domain.claiming import claimable, claimed, serves
from contracts.instances import InstanceSpec
from contracts.templates import TemplateRef
from contracts.vms import Overrides, Script

NOW = datetime(2031, 5, 4, 10, tzinfo=UTC)
TEMPLATE = TemplateRef(
    id="t", name="base", tag="v1", version=0, arch="amd64", repository="t", digest="sha256:1"
)


def a_wish(**wish):
    return InstanceSpec(**{"template": TEMPLATE} | wish)


def a_member(**spec):
    return a_wish(pool_id="p1", priority=10000, **spec)


@pytest.mark.parametrize(
    ("wish", "is_claimable"),
    [
        ({"name": "mine", "metadata": {"a": 1}, "group_id": "g"}, True),
        ({"node_id": "n1"}, False),
        ({"script": Script(body=b"true")}, True),
        ({"name_template": "$ts"}, False),
        ({"permission_group": "p"}, False),
    ],
)
def test_a_running_vm_cannot_be_everything(wish, is_claimable):
    assert claimable(a_wish(**wish)) is is_claimable


@pytest.mark.parametrize(
    ("member", "wish", "does_serve"),
    [
        ({}, {}, True),
        ({"group_id": "g"}, {}, True),
        ({"group_id": "g"}, {"group_id": "g"}, True),
        ({}, {"group_id": "g"}, False),
        ({"overrides": Overrides(vcpu=4)}, {"overrides": Overrides(vcpu=4)}, True),
        ({"overrides": Overrides(vcpu=4)}, {}, False),
    ],
)
def test_a_member_serves_what_is_like_it(member, wish, does_serve):
    assert serves(a_member(**member), a_wish(**wish)) is does_serve


def test_a_claim_leaves_nothing_of_the_pool_and_no_field_unsaid():
    change = claimed(a_wish(name="mine", start_request_id="r1"), NOW)
    sets, unset = set(change["$set"]), set(change["$unset"])
    assert change["$set"]["spec.name"] == "mine"
    assert change["$set"]["spec.claimed"] == NOW
    assert {"spec.pool_id", "spec.priority", "spec.group_id"} <= unset
    fields = {f"spec.{name}" for name in InstanceSpec.__struct_fields__}
    assert (sets | unset) - {"pending"} == fields - {"spec.restarts"}
    assert not sets & unset
