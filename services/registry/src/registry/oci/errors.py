"""Errors as the OCI Distribution API words them: a code, a message, and a status."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec
import structlog
from aiohttp import web

from chassis.errors import Conflict, Forbidden, NotFound, Unauthenticated, Unavailable
from registry.admission import BlobsMissing
from registry.blobs import NoSpace
from registry.catalog import ManifestUnknown
from registry.domain import artifact
from registry.room import OverQuota
from registry.uploads import OutOfOrder, Superseded, UnknownUpload, WrongDigest

VERSION_HEADER = "Docker-Distribution-Api-Version"
_log = structlog.get_logger()

_MEANINGS: tuple[tuple[type[Exception], int, str], ...] = (
    (ManifestUnknown, 404, "MANIFEST_UNKNOWN"),
    (UnknownUpload, 404, "BLOB_UPLOAD_UNKNOWN"),
    (OutOfOrder, 416, "BLOB_UPLOAD_INVALID"),
    (Superseded, 409, "BLOB_UPLOAD_INVALID"),
    (WrongDigest, 400, "DIGEST_INVALID"),
    (BlobsMissing, 404, "MANIFEST_BLOB_UNKNOWN"),
    (artifact.WrongDigest, 400, "DIGEST_INVALID"),
    (artifact.BadManifest, 400, "MANIFEST_INVALID"),
    (OverQuota, 403, "DENIED"),
    (Conflict, 409, "DENIED"),
    (Unauthenticated, 401, "UNAUTHORIZED"),
    (Forbidden, 403, "DENIED"),
    (NotFound, 404, "NAME_UNKNOWN"),
    (NoSpace, 507, "UNAVAILABLE"),
    (Unavailable, 503, "UNAVAILABLE"),
)

_HEADERS: tuple[tuple[type[Exception], Mapping[str, str]], ...] = (
    (Unavailable, {"Retry-After": "2"}),
    (Unauthenticated, {"WWW-Authenticate": 'Basic realm="corral"'}),
)
"""What goes with some of them; OCI clients present their password only when they are asked so."""


class OciError(Exception):
    """An answer of the OCI API that is no success."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


@web.middleware
async def oci_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn what a handler raises below ``/v2/`` into the documented body."""
    if not request.path.startswith("/v2"):
        return await handler(request)
    try:
        response = await handler(request)
    except OciError as error:
        response = answer(error)
    except web.HTTPNotFound:
        response = answer(OciError(404, "NAME_UNKNOWN", "no such resource"))
    except web.HTTPMethodNotAllowed:
        response = answer(OciError(405, "UNSUPPORTED", "the method is not supported here"))
    except web.HTTPException as error:
        response = answer(OciError(error.status, "UNSUPPORTED", error.reason))
    except (ConnectionError, web.PayloadAccessError):
        _log.info("registry.client_gone", path=request.path)
        response = answer(OciError(400, "BLOB_UPLOAD_INVALID", "the request was cut off"))
    except Exception as error:
        response = _translated(request, error)
    if not response.prepared:
        response.headers.setdefault(VERSION_HEADER, "registry/2.0")
    return response


def answer(error: OciError) -> web.Response:
    """The error as a response."""
    body = {"errors": [{"code": error.code, "message": str(error), "detail": None}]}
    return web.Response(
        body=msgspec.json.encode(body),
        status=error.status,
        content_type="application/json",
        headers=error.headers,
    )


def _translated(request: web.Request, error: Exception) -> web.Response:
    for kind, status, code in _MEANINGS:
        if isinstance(error, kind):
            headers = next((h for k, h in _HEADERS if isinstance(error, k)), None)
            return answer(OciError(status, code, str(error), headers))
    _log.error("registry.failed", path=request.path, exc_info=error)
    return answer(OciError(500, "UNKNOWN", "internal error"))
