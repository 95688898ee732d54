"""A private S3 server on loopback, with a bucket for whoever asks."""

import threading
import urllib.request
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from registry.blobs.s3 import S3Place


class S3Server:
    """``address`` is its endpoint; ``requests`` are those it got, as (method, path).

    While it is ``broken`` it answers every request with 503.
    """

    def __init__(self) -> None:
        self.address = ""
        self.requests: list[tuple[str, str]] = []
        self.broken = False
        self._app = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        self.requests.append((environ["REQUEST_METHOD"], environ["RAW_URI"]))
        if self.broken:
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

    def fresh_bucket(self) -> S3Place:
        """A bucket that nobody has used."""
        bucket = f"test-{uuid.uuid4().hex[:12]}"
        put = urllib.request.Request(f"{self.address}/{bucket}", method="PUT", data=b"")
        urllib.request.urlopen(put, timeout=10).close()
        return S3Place(
            bucket=bucket, endpoint=self.address, access_key_id="key", secret_access_key="secret"
        )


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """The server, in a thread of this process; it forgets everything at the end."""
    s3 = S3Server()
    server = make_server("127.0.0.1", 0, s3, threaded=True, request_handler=_Quiet)
    s3.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, name="s3", daemon=True)
    thread.start()
    try:
        yield s3
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        pass
