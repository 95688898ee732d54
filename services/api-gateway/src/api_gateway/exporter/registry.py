"""The controller, the registry and its templates."""

from api_gateway.exporter.text import Text, pairs
from api_gateway.projection import Templates
from api_gateway.registry_client import Registry


def write_registry(text: Text, templates: Templates, registry: Registry) -> None:
    """Every family about the registry; sizes of its disk only while it answers."""
    text.gauge("anka_controller_state_count", "1.", [(pairs(state="Running"), 1)])
    running = registry.running
    text.gauge(
        "anka_registry_state_count",
        "1 for the state that the registry is in, 0 for the other.",
        [(pairs(state="Running"), int(running)), (pairs(state="FAIL"), int(not running))],
    )
    _write_disk(text, registry)
    _write_templates(text, templates)


def _write_disk(text: Text, registry: Registry) -> None:
    disk = registry.disk
    if disk is not None:
        sizes = {"total": disk.total, "free": disk.free, "used": disk.total - disk.free}
        for word, size in sizes.items():
            text.total(f"anka_registry_disk_{word}_space", f"Bytes, {word}.", size)


def _write_templates(text: Text, templates: Templates) -> None:
    known = list(templates.by_id.values())
    text.total("anka_registry_template_count", "Templates.", len(known))
    each = [(pairs(template_uuid=one.id, template_name=one.name), one) for one in known]
    text.gauge(
        "anka_registry_template_disk_used",
        "Bytes of the template, what its tags share counted once.",
        ((shown, one.size) for shown, one in each),
    )
    text.gauge(
        "anka_registry_template_tags_count",
        "Tags of the template.",
        ((shown, len(one.versions)) for shown, one in each),
    )
    text.gauge(
        "anka_registry_template_tag_disk_used",
        "Bytes of the tag.",
        (
            (
                pairs(template_uuid=one.id, template_name=one.name, tag_name=version.tag),
                version.size,
            )
            for one in known
            for version in one.versions
        ),
    )
