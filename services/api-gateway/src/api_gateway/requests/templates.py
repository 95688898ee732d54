"""Requests about templates: in the registry, in the caches of nodes, and saves."""

from typing import Annotated, Literal

import msgspec

from api_gateway.requests.values import Ids, PageQuery, Text, Whole


class TemplateQuery(PageQuery, kw_only=True):
    """One template with its tags, or a filter of the list (ours)."""

    id: str | None = None
    api_ver: Annotated[Literal["v1"], msgspec.Meta(description="Id and name only.")] | None = (
        msgspec.field(name="apiVer", default=None)
    )
    name: tuple[str, ...] = ()


class Reversion(msgspec.Struct, kw_only=True):
    """The tag, or the version, that stays; with neither the latest goes."""

    id: Text
    tag: str | None = None
    version: Whole | None = None
    number: Annotated[Whole, msgspec.Meta(description="Another name of ``version``.")] | None = None


class CacheRemoval(msgspec.Struct, kw_only=True):
    """A template, and perhaps the nodes that shall drop it."""

    id: Text
    node_ids: Ids | None = None


class NewDistribution(msgspec.Struct, kw_only=True):
    """These nodes, those of a group, or all; ``group`` names a permission group."""

    template_id: Text
    tag: str | None = None
    version: Whole | None = None
    node_ids: Ids | None = None
    group_id: str | None = None
    group: str | None = None


class NewImage(msgspec.Struct, kw_only=True):
    """A running instance, to be saved as a tag of a template or of a new one."""

    id: Annotated[Text, msgspec.Meta(description="Of the instance.")]
    tag: Text
    target_vm_id: Annotated[str, msgspec.Meta(description="The template; it wins.")] | None = None
    new_template_name: str | None = None
    description: str | None = None
    suspend: bool | None = None
    script: Annotated[str, msgspec.Meta(description="Base64; runs before.")] | None = None
    revert_before_push: bool | None = None
    revert_tag: str | None = None
    do_suspend_sanity_test: bool | None = None
    cancel_on_script_failure: bool | None = None
