"""A stand-in for a public object store: as much of S3 as an unsigned s5cmd asks, on localhost."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "public-bucket"


@dataclass
class ObjectStore:
    """Objects by key, and what is wrong with them; used as a context, it serves.

    `damaged` keys come with other bytes of the same length so many times; `broken` keys end the
    connection half-way, every time; `slow` keys wait half-way until `go_on` is set; `claimed` sizes
    are listed in place of the true ones.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    damaged: dict[str, int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    go_on: threading.Event = field(default_factory=threading.Event)
    claimed: dict[str, int] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)

    def put_series(self, folder: str, files: int, size: int = 4000) -> str:
        """A series of DICOM-like files below a folder; its address."""
        for at in range(files):
            key = f"{folder}/{at:03d}.dcm"
            self.objects[key] = hashlib.sha256(key.encode()).digest() * (size // 32)
        return f"s3://{BUCKET}/{folder}/*"

    def etag(self, key: str) -> str:
        told = self.etags.get(key)
        return told or hashlib.md5(self.objects[key], usedforsecurity=False).hexdigest()

    def __enter__(self) -> ObjectStore:
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                store.answer(self, send=True)

            def do_HEAD(self) -> None:
                store.answer(self, send=False)

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler, *, send: bool) -> None:
        url = urlsplit(request.path)
        key = unquote(url.path).removeprefix(f"/{BUCKET}").lstrip("/")
        if not key:
            prefix = parse_qs(url.query).get("prefix", [""])[0]
            self._reply(
                request, 200, self._listing(prefix), send, {"Content-Type": "application/xml"}
            )
            return
        if key not in self.objects:
            self._reply(request, 404, b"", send, {})
            return
        content, status, headers = self.objects[key], 200, {"ETag": f'"{self.etag(key)}"'}
        if send:
            self.sent[key] += 1
            if self.damaged.get(key, 0) > 0:
                self.damaged[key] -= 1
                content = bytes(len(content))
        wanted = request.headers.get("Range")
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            content, status = content[start : end + 1], 206
        if send and key in self.broken | self.slow:
            request.send_response(status)
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            request.wfile.write(content[: len(content) // 2])
            request.wfile.flush()
            if key in self.slow:
                self.go_on.wait(30)
            request.close_connection = True
            request.connection.close()
            return
        self._reply(request, status, content, send, headers)

    def _listing(self, prefix: str) -> bytes:
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{self.etag(key)}&quot;</ETag>"
            f"<Size>{self.claimed.get(key, len(content))}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for key, content in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult '
            f'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{BUCKET}</Name>'
            f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{rows.count('<Key>')}</KeyCount>"
            f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
        ).encode()

    @staticmethod
    def _reply(
        request: BaseHTTPRequestHandler,
        status: int,
        content: bytes,
        send: bool,
        headers: dict[str, str],
    ) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if send:
            request.wfile.write(content)
