"""A private S3 server on loopback, with a bucket for whoever asks."""

import threading
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from registry.blobs.s3 import S3Place


class S3Server:
    """``address`` is its endpoint; ``requests`` are those it got, as (method, path)."""

    def __init__(self, address: str, requests: list[tuple[str, str]]) -> None:
        self.address = address
        self.requests = requests

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
    requests: list[tuple[str, str]] = []

    class Handler(WSGIRequestHandler):
        def log_request(self, *_: Any) -> None:
            requests.append((self.command, self.path))

    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, name="s3", daemon=True)
    thread.start()
    try:
        yield S3Server(f"http://127.0.0.1:{server.server_port}", requests)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
