"""Repositories, digests and references, as they stand in a path."""

from aiohttp import web

from contracts.artifacts import REFERENCE_PATTERN, REPOSITORY_PATTERN
from registry.domain.digest import is_digest, is_supported
from registry.oci.errors import OciError

_MAX_NAME = 255


def repository_of(request: web.Request) -> str:
    """The repository; NAME_INVALID."""
    name = request.match_info["name"]
    if len(name) > _MAX_NAME or not REPOSITORY_PATTERN.fullmatch(name):
        raise OciError(400, "NAME_INVALID", "the repository name is not valid")
    return name


def digest_of_path(request: web.Request) -> str:
    """The digest in the path, of any algorithm; DIGEST_INVALID."""
    return _well_formed(request.match_info["digest"])


def keepable_digest(digest: str) -> str:
    """``digest`` itself; DIGEST_INVALID when it is none, UNSUPPORTED when it is no sha256."""
    if not is_supported(_well_formed(digest)):
        raise _unsupported(digest)
    return digest


def reference_of_path(request: web.Request) -> str:
    """A tag or digest; what can be neither is MANIFEST_INVALID on a push, else unknown."""
    reference = request.match_info["reference"]
    pushing = request.method == "PUT"
    if is_digest(reference):
        return keepable_digest(reference) if pushing else reference
    if REFERENCE_PATTERN.fullmatch(reference):
        return reference
    if pushing:
        raise OciError(400, "MANIFEST_INVALID", "the reference is neither a tag nor a digest")
    raise OciError(404, "MANIFEST_UNKNOWN", "the manifest is not known to the repository")


def _well_formed(digest: str) -> str:
    if not is_digest(digest):
        raise OciError(400, "DIGEST_INVALID", "the digest is not well-formed")
    return digest


def _unsupported(digest: str) -> OciError:
    algorithm = digest.partition(":")[0]
    return OciError(400, "UNSUPPORTED", f"content is kept under sha256, not under {algorithm}")
