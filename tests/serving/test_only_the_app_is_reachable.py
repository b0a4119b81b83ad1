"""What comes back over HTTP, with and without the token: the app, or nothing."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("voila", reason="the extra `apps` is not installed")
from tornado.ioloop import IOLoop
from tornado.websocket import websocket_connect

TOKEN = "0123456789-of-this-test"  # noqa: S105
SECRETS = (b"secret", b"anywidget.AnyWidget", b"import os", b"cohort", b"Traceback")

#: What somebody may try: folders, sources, images, study files, and Jupyter's own addresses.
TRIED = [
    "/tree", "/voila/tree", "/voila/tree/", "/voila/files/app.ipynb", "/voila/files/beside.png",
    "/app.ipynb", "/label_slices.ipynb", "/beside.png", "/beside.svg", "/stand_in.py", "/apps/",
    "/voila/render/app.ipynb", "/api/contents", "/api/contents/app.ipynb", "/voila/api/contents",
    "/voila/api/contents/app.ipynb", "/api/kernels", "/api/sessions", "/api/kernelspecs",
    "/api/terminals", "/api/status", "/files/app.ipynb", "/view/app.ipynb", "/lab", "/study/",
    "/study/cohort.csv", "/voila/files/..%2fstudy%2fcohort.csv", "/..%2fstudy%2fcohort.csv",
    "/%2e%2e/%2e%2e/study/cohort.csv", "//etc/passwd", "/voila/files//etc/passwd",
    "/voila/static/..%2f..%2fserver.py", "/voila/static/../../server.py", "/voila/static/",
    "/voila/static//etc/passwd", "/voila/static/%2fetc%2fpasswd",
    "/voila/templates/reading_room/static/..%2f..%2f..%2fserver.py",
    "/voila/templates/base/static/..%2findex.html", "/voila/labextensions/",
    "/voila/labextensions/anywidget/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/voila/labextensions/jupyterlab_pygments/package.json",
    "/voila/query/00000000-0000-0000-0000-000000000000",
    "/voila/execution/00000000-0000-0000-0000-000000000000",
    "/api/kernels/00000000-0000-0000-0000-000000000000",
    "/api/kernels/00000000-0000-0000-0000-000000000000/channels", "/metrics", "/logout",
]  # fmt: skip


class Server:
    def __init__(self, port, log):
        self.port, self.log = port, log

    def ask(self, path, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            answer = connection.getresponse()
            answer.body = answer.read()
            return answer
        finally:
            connection.close()

    def log_with(self, word):
        """The log once it holds a word: a line is written after its answer was sent."""
        for _ in range(100):
            if word in (log := self.log.read_text()):
                return log
            time.sleep(0.1)
        raise AssertionError(f"{word} is not in the log")

    def signed_in(self):
        """The cookies of a browser that came with the token."""
        answer = self.ask(f"/?token={TOKEN}")
        assert answer.status == 302
        return cookies(answer)

    def kernel(self, **headers):
        """Open the page as a reader: its kernel's id, and the cookies with which it can be left."""
        answer = self.ask("/", **headers)
        assert answer.status == 200
        return re.search(rb'"kernelId": "([0-9a-f-]+)"', answer.body)[1].decode(), cookies(answer)


def cookies(answer):
    given = [value for name, value in answer.getheaders() if name.lower() == "set-cookie"]
    return "; ".join(value.split(";")[0] for value in given)


@contextmanager
def served(folder, **options):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stand_in = Path(__file__).with_name("stand_in.py")
    call = [sys.executable, str(stand_in), str(folder), json.dumps({"port": port, **options})]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert server.stdout.readline() == "ready\n", (folder / "log").read_text()
        yield Server(port, folder / "log")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
        server.stdout.close()


@pytest.fixture(scope="module")
def by_token(tmp_path_factory):
    with served(tmp_path_factory.mktemp("token"), token=TOKEN, pool=1) as server:
        yield server


@pytest.fixture(scope="module")
def by_proxy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxy")
    with served(folder, proxy_header="X-Remote-User", pool=0) as server:
        yield server


def says_nothing(answer):
    if answer.status == 302:
        return answer.getheader("Location").startswith("/login?") and answer.body == b""
    return answer.status in {400, 403, 404} and not any(s in answer.body for s in SECRETS)


@pytest.mark.parametrize("path", ["/", *TRIED])
def test_a_stranger_gets_the_sign_in_or_nothing(by_token, path):
    assert says_nothing(by_token.ask(path))


@pytest.mark.parametrize("path", TRIED)
def test_a_reader_gets_the_app_and_nothing_beside_it(by_token, path):
    answer = by_token.ask(path, Cookie=by_token.signed_in())
    assert says_nothing(answer)
    assert answer.status != 302


@pytest.mark.parametrize("path", ["/", *TRIED])
def test_nobody_comes_past_the_proxy(by_proxy, path):
    answer = by_proxy.ask(path)
    assert says_nothing(answer)
    assert answer.status in {403, 404}
    if not path.startswith("/voila/"):
        assert answer.status == 403


@pytest.mark.parametrize("name", ["", " ", "anna, björn", "a" * 65, "<b>", "anna;"])
def test_the_proxy_names_one_reader_or_nobody_comes_in(by_proxy, name):
    assert by_proxy.ask("/", X_Remote_User=name).status == 403


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper()])
def test_a_wrong_token_opens_nothing(by_token, token):
    assert says_nothing(by_token.ask(f"/?token={token}"))
    assert says_nothing(by_token.ask("/", Authorization=f"token {token}"))


def test_every_answer_keeps_the_browser_on_this_host(by_token):
    for path in ("/", "/nothing", "/login", "/voila/static/voila.js"):
        answer = by_token.ask(path, Cookie=by_token.signed_in())
        policy = answer.getheader("Content-Security-Policy")
        assert "default-src 'self'" in policy
        assert "unsafe-eval" not in policy
        assert "script-src 'self' blob: data:;" in policy
        assert answer.getheader("Referrer-Policy") == "same-origin"
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        assert answer.getheader("Access-Control-Allow-Origin") is None
        assert answer.getheader("Server") is None
        if path != "/voila/static/voila.js":
            assert answer.getheader("Cache-Control") == "no-store"


def test_the_log_holds_no_token_and_no_name(by_token, by_proxy):
    by_token.ask(f"/nothing?token={TOKEN}")
    by_token.ask("/nothing?token=wrong-token")
    by_proxy.ask("/nothing", X_Remote_User="anna.muster")
    for server, word in ((by_token, "GET /nothing"), (by_proxy, "GET /nothing")):
        log = server.log_with(word)
        assert TOKEN not in log
        assert "wrong-token" not in log
        assert "anna.muster" not in log
        assert "secret" not in log


def attach(server, kernel, *said, **headers):
    """Open a kernel's wire, say messages, and read what comes back for two seconds."""

    async def talk():
        from tornado.httpclient import HTTPRequest

        named = {name.replace("_", "-"): value for name, value in headers.items()}
        address = f"ws://127.0.0.1:{server.port}/api/kernels/{kernel}/channels?session_id=test"
        wire = await websocket_connect(HTTPRequest(address, headers=named))
        heard = []
        for message in said:
            await wire.write_message(json.dumps(message))
        from datetime import timedelta

        from tornado.gen import TimeoutError as Quiet
        from tornado.gen import with_timeout

        try:
            while True:
                message = await with_timeout(timedelta(seconds=2), wire.read_message())
                if message is None:
                    break
                if isinstance(message, str):
                    heard.append(json.loads(message))
        except Quiet:
            pass
        wire.close()
        return heard

    # A thread of its own: other tests keep a browser's loop running in this one.
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(lambda: IOLoop(make_current=False).run_sync(talk)).result()


def message(kind, **content):
    header = {"msg_id": kind, "msg_type": kind, "username": "", "session": "test", "version": "5.3"}
    return {
        "header": header, "parent_header": {}, "metadata": {}, "content": content,
        "buffers": [], "channel": "shell",
    }  # fmt: skip


def test_a_reader_cannot_run_code_over_the_wire(by_proxy, tmp_path):
    kernel, _ = by_proxy.kernel(X_Remote_User="anna")
    trace = tmp_path / "ran"
    code = f"open({str(trace)!r}, 'w')"
    heard = attach(
        by_proxy,
        kernel,
        message("execute_request", code=code, silent=False, store_history=False),
        message("inspect_request", code="os", cursor_pos=2),
        message("complete_request", code="os.", cursor_pos=3),
        message("kernel_info_request"),
        X_Remote_User="anna",
    )
    kinds = {said["msg_type"] for said in heard if said["parent_header"].get("session") == "test"}
    assert "kernel_info_reply" in kinds, "the wire works"
    assert not kinds & {"execute_reply", "inspect_reply", "complete_reply", "execute_input"}
    assert not trace.exists()


def test_a_reader_cannot_reach_or_end_another_readers_kernel(by_proxy):
    kernel, _ = by_proxy.kernel(X_Remote_User="anna")
    mine, left = by_proxy.kernel(X_Remote_User="bert")
    xsrf = re.search(r"_xsrf=([^;]+)", left)[1]
    here = {"X_Remote_User": "bert", "Cookie": left, "X_XSRFToken": xsrf}
    assert by_proxy.ask(f"/api/kernels/{kernel}", **here).status == 403
    assert by_proxy.ask(f"/voila/api/shutdown/{kernel}", "POST", **here).status == 403
    with pytest.raises(Exception, match="403"):
        attach(by_proxy, kernel, X_Remote_User="bert")
    assert by_proxy.ask(f"/api/kernels/{kernel}", X_Remote_User="anna").status == 200
    assert by_proxy.ask(f"/voila/api/shutdown/{mine}", "POST", **here).status == 204
    assert by_proxy.ask(f"/api/kernels/{mine}", **here).status == 403


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "POST"])
def test_a_kernel_can_be_asked_but_not_started_or_ended(by_proxy, method):
    kernel, left = by_proxy.kernel(X_Remote_User="carl")
    xsrf = re.search(r"_xsrf=([^;]+)", left)[1]
    here = {"X_Remote_User": "carl", "Cookie": left, "X_XSRFToken": xsrf}
    for path in ("/api/kernels", f"/api/kernels/{kernel}", f"/api/kernels/{kernel}/restart"):
        assert by_proxy.ask(path, method, **here).status in {403, 404, 405}
    assert by_proxy.ask(f"/api/kernels/{kernel}", **here).status == 200


def test_a_stranger_cannot_open_a_kernels_wire_or_end_it(by_token):
    kernel, _ = by_token.kernel(Cookie=by_token.signed_in())
    with pytest.raises(Exception, match="403"):
        attach(by_token, kernel)
    assert by_token.ask(f"/voila/api/shutdown/{kernel}", "POST").status == 403
    other = by_token.signed_in()
    with pytest.raises(Exception, match="403"):
        attach(by_token, kernel, Cookie=other)
    assert by_token.ask(f"/api/kernels/{kernel}", Cookie=other).status == 403


def test_another_site_cannot_use_a_readers_sign_in(by_proxy):
    kernel, _ = by_proxy.kernel(X_Remote_User="dora")
    with pytest.raises(Exception, match="403"):
        attach(by_proxy, kernel, X_Remote_User="dora", Origin="http://evil.example")
    answer = by_proxy.ask(f"/voila/api/shutdown/{kernel}", "POST", X_Remote_User="dora")
    assert answer.status == 403, "a form of another site has no cookie of this one to show"
