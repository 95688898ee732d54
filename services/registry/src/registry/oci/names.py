"""Repositories, digests and references, as they stand in a path."""

from aiohttp import web

from contracts.artifacts import DIGEST_PATTERN, REFERENCE_PATTERN, REPOSITORY_PATTERN
from registry.oci.errors import OciError

_MAX_NAME = 255


def repository_of(request: web.Request) -> str:
    """The repository; NAME_INVALID."""
    name = request.match_info["name"]
    if len(name) > _MAX_NAME or not REPOSITORY_PATTERN.fullmatch(name):
        raise OciError(400, "NAME_INVALID", "the repository name is not valid")
    return name


def digest_of_path(request: web.Request) -> str:
    """The digest in the path; DIGEST_INVALID."""
    return checked_digest(request.match_info["digest"])


def checked_digest(digest: str) -> str:
    """``digest`` itself; DIGEST_INVALID unless it is a sha256 digest."""
    if not DIGEST_PATTERN.fullmatch(digest):
        raise OciError(400, "DIGEST_INVALID", "the digest is not a sha256 digest")
    return digest


def reference_of_path(request: web.Request) -> str:
    """A tag or digest; what can be neither is MANIFEST_INVALID on a push, else unknown."""
    reference = request.match_info["reference"]
    if DIGEST_PATTERN.fullmatch(reference) or REFERENCE_PATTERN.fullmatch(reference):
        return reference
    if request.method == "PUT":
        raise OciError(400, "MANIFEST_INVALID", "the reference is neither a tag nor a digest")
    raise OciError(404, "MANIFEST_UNKNOWN", "the manifest is not known to the repository")
