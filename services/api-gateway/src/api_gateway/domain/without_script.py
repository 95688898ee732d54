"""An instance's wish as views keep it."""

import msgspec

from contracts.instances import InstanceSpec


def without_body(spec: InstanceSpec) -> InstanceSpec:
    """The same wish without the startup script's text: it may be long and secret."""
    if spec.script is None or not spec.script.body:
        return spec
    return msgspec.structs.replace(spec, script=msgspec.structs.replace(spec.script, body=b""))
