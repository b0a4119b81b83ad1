"""Voila set up so that one app, and nothing beside it, is reachable; it draws no page."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import ChoiceLoader, FileSystemLoader
from jupyter_core.utils import run_sync
from jupyter_server.base.handlers import FileFindHandler, JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.ioloop import IOLoop
from tornado.web import HTTPError, authenticated
from traitlets.config import Config
from voila.app import Voila
from voila.paths import collect_static_paths
from voila.static_file_handler import MultiStaticFileHandler
from voila.tornado.handler import TornadoVoilaHandler

from cacnb.serving.answers import SafeHeaders, log_answer
from cacnb.serving.kernels import (
    HandingOver,
    KernelChannels,
    KernelModel,
    LeavingPage,
    ReadersKernels,
    ThisPython,
)
from cacnb.serving.login import OwnKernels, ProxyIdentity, TokenIdentity
from cacnb.serving.owners import KernelOwners
from cacnb.serving.reader import READERS_FOLDER
from cacnb.serving.room import Room, cannot_listen, check_port

HERE = Path(__file__).parent

#: Loaded into the page: the widgets' manager and anywidget, in which all widgets here are written.
EXTENSIONS = [
    "@jupyter-widgets/jupyterlab-manager",
    "@voila-dashboards/widgets-manager8",
    "anywidget",
]

_KERNEL = r"(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)"


class AppPage(TornadoVoilaHandler):  # type: ignore[misc]
    """The app at the base address; every other address is not there."""

    @property
    def kernel_manager(self) -> Any:
        """The kernels, of which the next one handed out will be this request's reader's."""
        kernels = super().kernel_manager
        return HandingOver(kernels, self.settings["owners"], self.current_user.username)

    @authenticated
    async def get(self, path: str = "") -> None:
        """Hand over a kernel and its page; a token in the address is first turned into a cookie."""
        if path:
            raise HTTPError(404)
        if "token" in self.request.query_arguments:
            self.redirect(self.base_url)
            return
        # The cookie with which the closing page signs that it ends its kernel.
        self.xsrf_token  # noqa: B018
        await super().get(path)


class Nothing(JupyterHandler):  # type: ignore[misc]
    """Every other address, said only to whoever is let in."""

    @authenticated
    def get(self) -> None:
        """Say that nothing is there."""
        raise HTTPError(404)


class ReadingRoom(Voila):  # type: ignore[misc]
    """Voila for one room: our template, our handlers, a private folder, no configuration files."""

    room: Room
    folder: Path
    owners: KernelOwners
    kernel_environment: dict[str, str]
    when_ready: Callable[[], None]

    def open_room(self, room: Room, folder: Path, when_ready: Callable[[], None]) -> None:
        """Take a room to serve and a private folder to serve it from."""
        self.room, self.folder, self.when_ready = room, folder, when_ready
        self.kernel_environment = room.environment()
        readers = None
        if room.proxy_header is not None:
            readers = folder / "readers"
            readers.mkdir()
            self.kernel_environment[READERS_FOLDER] = str(readers)
        self.owners = KernelOwners(readers)
        notebook = folder / "app" / "app.ipynb"
        notebook.parent.mkdir()
        shutil.copyfile(room.notebook_file, notebook)
        self.update_config(_configuration(room, notebook, folder))
        self.initialize([])
        signal.signal(signal.SIGINT, self._handle_signal_stop)

    def setup_template_dirs(self) -> None:
        """Our template alone, and the scripts that come with Voila."""
        self.template_paths = [str(HERE / "template")]
        self.static_paths = [
            str(HERE / "static"),
            *collect_static_paths(["voila", "nbconvert"], "base", prune=True),
        ]

    def init_settings(self) -> dict[str, Any]:
        """Voila's settings with our headers, log, login page and error page."""
        settings: dict[str, Any] = super().init_settings()
        notebook = nbformat.read(self.notebook_path, as_version=nbformat.NO_CONVERT)
        self.contents_manager.notary.sign(notebook)
        for name in ("voila_jinja2_env", "jinja2_env"):
            pages = settings[name]
            pages.loader = ChoiceLoader([FileSystemLoader(str(HERE / "pages")), pages.loader])
        return settings | {
            "owners": self.owners, "transforms": [SafeHeaders], "log_function": log_answer,
        }  # fmt: skip

    def init_handlers(self) -> list[Any]:
        """The few addresses that a page of the app needs, and no other."""
        page = {
            "notebook_path": Path(self.notebook_path).name,
            "template_paths": self.template_paths,
            "config": self.config,
            "voila_configuration": self.voila_configuration,
        }
        handlers = [
            (rf"api/kernels/{_KERNEL}", KernelModel),
            (rf"api/kernels/{_KERNEL}/channels", KernelChannels),
            (rf"voila/api/shutdown/{_KERNEL}", LeavingPage),
            (r"voila/static/(.*)", MultiStaticFileHandler, {"paths": self.static_paths}),
            (
                rf"voila/labextensions/((?:{'|'.join(EXTENSIONS)})/.*)",
                FileFindHandler,
                {"path": self.labextensions_path},
            ),
            *((path.lstrip("/"), *rest) for path, *rest in self.identity_provider.get_handlers()),
            (r"()", AppPage, page),
        ]
        return [
            *((url_path_join(self.base_url, path), *rest) for path, *rest in handlers),
            (r".*", Nothing),
        ]

    def stop(self) -> None:
        """End every kernel, then remove what connects to them."""
        run_sync(self.kernel_manager.shutdown_all)()
        shutil.rmtree(self.connection_dir, ignore_errors=True)

    def listen(self) -> None:
        """Listen on the one port that was asked for, say so, and serve until told to stop."""
        try:
            self.app.listen(self.port, self.ip)
        except OSError as error:
            self.stop()
            raise cannot_listen(self.ip, self.port, error) from error
        self.ioloop = IOLoop.current()
        self.ioloop.add_callback(self.when_ready)
        try:
            self.ioloop.start()
        finally:
            self.stop()


def serve(room: Room, when_ready: Callable[[], None] = lambda: None) -> None:
    """Serve a room until SIGINT or SIGTERM; no kernel outlives the server.

    Parameters
    ----------
    room
        What to serve; it has a token or a proxy's header.
    when_ready
        Called once the server answers.

    Raises
    ------
    InputError
        `port_in_use` or `cannot_listen`.
    """
    check_port(room.host, room.port)
    asyncio.set_event_loop(asyncio.new_event_loop())
    with tempfile.TemporaryDirectory(prefix="cacnb-") as folder:
        server = ReadingRoom.instance()
        try:
            server.open_room(room, Path(folder), when_ready)
            server.start()
        finally:
            ReadingRoom.clear_instance()


def _configuration(room: Room, notebook: Path, folder: Path) -> Config:
    identity = TokenIdentity if room.proxy_header is None else ProxyIdentity
    return Config(
        {
            "Voila": {
                "notebook_path": str(notebook),
                "root_dir": str(notebook.parent),
                "connection_dir_root": str(folder),
                "config_file_paths": [],
                "ip": room.host,
                "port": room.port,
                "base_url": room.base_url,
                "token": room.token,
                "open_browser": False,
                "log_level": logging.WARNING,
                "authorizer_class": OwnKernels,
                "identity_provider_class": identity,
            },
            "VoilaConfiguration": {
                "template": "reading_room",
                "theme": "dark",
                "strip_sources": True,
                "show_tracebacks": False,
                "file_allowlist": [],
                "extension_allowlist": EXTENSIONS,
                "allow_template_override": "NO",
                "allow_theme_override": "NO",
                "preheat_kernel": room.pool > 0,
                "default_pool_size": room.pool,
                "multi_kernel_manager_class": ReadersKernels,
                "kernel_spec_manager_class": ThisPython,
            },
            "VoilaExecutor": {"cell_error_instruction": "The server's log says why."},
            "IdentityProvider": {"cookie_options": {"samesite": "Lax"}},
            "ProxyIdentity": {"header": room.proxy_header or ""},
            # An empty kernel under a page that thinks it alive would lose what the page shows.
            "KernelManager": {"autorestart": False, "transport": _transport(folder)},
            "NotebookNotary": {"db_file": ":memory:"},
            "MappingKernelManager": {"cull_idle_timeout": 1, "cull_interval": _interval_s(room)},
            "ReadersKernels": {"abandoned_s": room.abandoned_s, "idle_s": room.idle_s},
        }
    )


def _transport(folder: Path) -> str:
    """Sockets in the private folder, which no other account of the machine can read.

    The system allows them a path of 103 bytes, of which 70 are Voila's and the kernel's names.
    """
    return "ipc" if len(str(folder).encode()) <= 33 else "tcp"


def _interval_s(room: Room) -> int:
    return max(1, round(min(60, room.abandoned_s / 4, room.idle_s / 4)))
