"""What every answer carries and what the log says of it; not what is answered."""

from __future__ import annotations

import re
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.log import access_log
from tornado.web import OutputTransform, RequestHandler

_HOST = re.compile(r"[A-Za-z0-9.\-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?")

#: Pixels stay in the building: nothing is loaded from, or sent to, another host.
#: Widgets load their scripts from blob: and data: addresses made by the page itself, and
#: bring their own styles.
_POLICY = (
    "default-src 'self'",
    "script-src 'self' blob: data:",
    "style-src 'self' 'unsafe-inline' blob: data:",
    "img-src 'self' blob: data:",
    "font-src 'self' data:",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'self'",
)


_SCRIPTS_KEPT_S = 3600


def content_security_policy(host: str) -> str:
    """The policy of a page asked for by this host; older browsers need its sockets by name.

    Example
    -------
    >>> content_security_policy("ct.example:443").split("; ")[-1]
    "connect-src 'self' ws://ct.example:443 wss://ct.example:443"
    >>> content_security_policy("ct.example; script-src *").split("; ")[-1]
    "connect-src 'self'"
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return "; ".join((*_POLICY, f"connect-src 'self'{sockets}"))


class SafeHeaders(OutputTransform):
    """Headers of every answer, also of files and errors.

    The referrer is kept for this host only, not dropped: without one a browser hides the origin
    of the message by which a closing page ends its kernel, and the message would be refused.
    """

    def __init__(self, request: HTTPServerRequest) -> None:
        self._policy = content_security_policy(request.host)

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Set the headers; a page is never kept, scripts for an hour: a reload is then quick."""
        del finishing
        headers["Content-Security-Policy"] = self._policy
        headers["Referrer-Policy"] = "same-origin"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        kept = "Last-Modified" in headers
        headers["Cache-Control"] = f"private, max-age={_SCRIPTS_KEPT_S}" if kept else "no-store"
        for dropped in ("Server", "Access-Control-Allow-Origin"):
            headers.pop(dropped, None)
        return status_code, headers, chunk


def log_answer(handler: RequestHandler) -> None:
    """Log what was refused or failed: method and path, no query, so never a token or a name."""
    status = handler.get_status()
    if status < 400:
        return
    request: Any = handler.request
    log = access_log.error if status >= 500 else access_log.warning
    log("%d %s %s", status, request.method, request.path)
