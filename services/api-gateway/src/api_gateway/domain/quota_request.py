"""The ``quota`` of a node group in a request."""

from api_gateway.domain.fields import Fields
from contracts.groups import Quota


def read_quota(fields: Fields) -> Quota | None:
    """The limits given, or BadField; an object without any is none."""
    given = fields.object("quota")
    if given is None:
        return None
    quota = Quota(instances=given.integer("instances", 0), vcpus=given.integer("vcpus", 0))
    return None if quota == Quota() else quota
