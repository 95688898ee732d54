"""Push templates to an OCI registry and pull them from it."""

from corral.registry.client import Chunk, RegistryClient
from corral.registry.errors import Corrupt, RegistryDown, RegistryError
from corral.registry.template import (
    LocalTemplate,
    pull_template,
    push_template,
    repository_of_name,
)

__all__ = [
    "Chunk",
    "Corrupt",
    "LocalTemplate",
    "RegistryClient",
    "RegistryDown",
    "RegistryError",
    "pull_template",
    "push_template",
    "repository_of_name",
]
