"""An app as a reader's browser opens it from the server: alone on its network, one kernel each."""

import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.browser
pytest.importorskip("voila", reason="the extra `apps` is not installed")

STAND_IN = Path(__file__).parents[1] / "serving" / "stand_in.py"
TOKEN = "0123456789-of-this-test"  # noqa: S105


@contextmanager
def served(folder, **options):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    call = [sys.executable, str(STAND_IN), str(folder), json.dumps({"port": port, **options})]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert server.stdout.readline() == "ready\n", (folder / "log").read_text()
        server.address = f"http://127.0.0.1:{port}/"
        server.log = folder / "log"
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
        server.stdout.close()


@contextmanager
def gate(server, name):
    """The hospital's sign-in, with `name` signed in: it adds the header that the server trusts."""
    behind = ("127.0.0.1", urlsplit(server.address).port)

    def pass_on(source, target):
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    class Visit(socketserver.BaseRequestHandler):
        def handle(self):
            head = b""
            while b"\r\n\r\n" not in head:
                more = self.request.recv(65536)
                if not more:
                    return
                head += more
            # One request a connection, so that every one of them passes here.
            head = head.replace(b"Connection: keep-alive", b"Connection: close")
            line = f"\r\nX-Remote-User: {name}\r\n".encode()
            with socket.create_connection(behind) as onward:
                onward.sendall(head.replace(b"\r\n", line, 1))
                threading.Thread(target=pass_on, args=(self.request, onward), daemon=True).start()
                pass_on(onward, self.request)

    class Gate(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Gate(("127.0.0.1", 0), Visit) as open_gate:
        threading.Thread(target=open_gate.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{open_gate.server_address[1]}/"
        open_gate.shutdown()


@pytest.fixture
def reader(browser):
    """A browser of its own that can reach one address, and keeps what else it asked for."""
    contexts = []

    def sit_down(address):
        context = browser.new_context()
        contexts.append(context)
        context.elsewhere = []
        host = urlsplit(address).netloc

        def let(route):
            asked = urlsplit(route.request.url)
            if asked.scheme in {"blob", "data"} or asked.netloc == host:
                route.continue_()
            else:
                context.elsewhere.append(route.request.url)
                route.abort()

        context.route("**/*", let)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.said = []
        page.on("console", lambda said: page.said.append(said.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        return page

    yield sit_down
    for context in contexts:
        context.close()


def press(page):
    """Press the button and read what the kernel says: its process, its reader, its environment."""
    page.evaluate("document.querySelector('#press')?.replaceChildren('press')")
    page.click("#press")
    page.wait_for_selector("#press:has-text('pid')")
    return json.loads(page.inner_text("#press"))


def alive(pid):
    return Path(f"/proc/{pid}").exists()


def gone_within(pid, seconds):
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.1)
    return not alive(pid)


@pytest.mark.parametrize("pool", [0, 1])
def test_the_app_opens_with_every_other_host_cut_off(tmp_path, reader, pool):
    with served(tmp_path, token=TOKEN, pool=pool) as server:
        page = reader(server.address)
        page.goto(f"{server.address}?token={TOKEN}")
        page.wait_for_selector("#press")
        html = page.content()
        said = press(page)
        assert page.context.elsewhere == []
        assert page.evaluate("getComputedStyle(document.querySelector('#press')).color") == (
            "rgb(1, 2, 3)"
        )
        assert page.url == server.address, "the token stays in no address bar and no history"
        assert said["reader"] == ""
        assert TOKEN not in json.dumps(said["environment"])
        refused = [text for text in page.said if "Content Security Policy" in text]
        assert refused == []
    assert TOKEN not in html + server.log.read_text()
    assert str(tmp_path) not in html


def test_another_host_is_out_of_the_pages_reach(tmp_path, reader):
    with served(tmp_path, token=TOKEN, pool=0) as server:
        page = reader(server.address)
        page.goto(f"{server.address}?token={TOKEN}")
        page.wait_for_selector("#press")
        sent = page.evaluate(
            """() => fetch("http://127.0.0.2:9/?pixels").then(() => "sent", e => String(e))"""
        )
        assert "TypeError" in sent
        assert any("Content Security Policy" in text for text in page.said)
        assert page.context.elsewhere == [], "the policy stops the request before the network"


def test_two_readers_at_once_have_a_kernel_and_a_name_each(tmp_path, reader):
    with served(tmp_path, proxy_header="X-Remote-User", pool=2) as server:
        with ExitStack() as signed_in:
            gates = {
                name: signed_in.enter_context(gate(server, name)) for name in ("anna", "björn")
            }
            pages = {name: reader(address) for name, address in gates.items()}
            for name, page in pages.items():
                page.goto(gates[name], wait_until="commit")
            said = {name: press(page) for name, page in pages.items()}
        assert {name: told["reader"] for name, told in said.items()} == {
            "anna": "anna",
            "björn": "björn",
        }
        assert said["anna"]["pid"] != said["björn"]["pid"]
        assert "björn" not in json.dumps(said["anna"]["environment"], ensure_ascii=False)


def test_a_closed_page_ends_its_kernel_at_once(tmp_path, reader):
    with served(tmp_path, token=TOKEN, pool=0) as server:
        page = reader(server.address)
        page.goto(f"{server.address}?token={TOKEN}")
        pid = press(page)["pid"]
        page.goto(f"{server.address}?token={TOKEN}")
        assert gone_within(pid, 10)
        assert press(page)["pid"] != pid


def test_an_idle_kernel_is_ended_although_its_page_beats_and_a_reload_brings_another(
    tmp_path, reader
):
    with served(tmp_path, token=TOKEN, pool=1, abandoned_s=60, idle_s=4) as server:
        page = reader(server.address)
        page.add_init_script("window.PULSE_MS = 300")
        page.goto(f"{server.address}?token={TOKEN}")
        pid = press(page)["pid"]
        time.sleep(2)
        assert alive(pid)
        assert press(page)["pid"] == pid, "a reader who does something keeps the kernel"
        assert gone_within(pid, 15)
        page.reload()
        assert press(page)["pid"] != pid


def test_a_kernel_whose_browser_died_is_ended(tmp_path, reader):
    with served(tmp_path, token=TOKEN, pool=0, abandoned_s=8, idle_s=600) as server:
        page = reader(server.address)
        page.goto(f"{server.address}?token={TOKEN}")
        pid = press(page)["pid"]
        page.evaluate("navigator.sendBeacon = () => true")
        page.close()
        assert gone_within(pid, 20)


def test_a_killed_kernel_is_not_replaced_under_the_page(tmp_path, reader):
    with served(tmp_path, token=TOKEN, pool=0) as server:
        page = reader(server.address)
        page.goto(f"{server.address}?token={TOKEN}")
        pid = press(page)["pid"]
        os.kill(pid, signal.SIGKILL)
        time.sleep(5)
        page.evaluate("document.querySelector('#press').textContent = 'silent'")
        page.click("#press")
        time.sleep(3)
        assert page.inner_text("#press") == "silent"
        page.reload()
        assert press(page)["pid"] != pid


def test_no_kernel_outlives_the_server(tmp_path, reader):
    with served(tmp_path, token=TOKEN, pool=1) as server:
        page = reader(server.address)
        page.goto(f"{server.address}?token={TOKEN}")
        press(page)
        kernels = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        assert kernels
    assert server.returncode == 0
    assert [pid for pid in kernels if alive(pid)] == []


def test_the_token_can_be_typed(tmp_path, reader):
    with served(tmp_path, token=TOKEN, pool=0, base_url="/room/") as server:
        page = reader(server.address)
        page.goto(f"{server.address}room/")
        page.fill("input[type=password]", "not the token")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=That is not the token")
        page.fill("input[type=password]", TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector("#press")
        assert page.url == f"{server.address}room/"
        assert page.context.elsewhere == []
