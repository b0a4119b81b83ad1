"""What is served, to whom and where, checked before anything starts; it starts nothing."""

from __future__ import annotations

import errno
import ipaddress
import json
import re
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cacnb.errors import InputError, UsageError
from cacnb.serving.reader import READER, READER_HEADER

#: Apps by the word of the command; each is a notebook of two cells in `apps/`.
NOTEBOOKS = {
    "label": "label_slices",
    "paint": "paint_regions",
    "clinical": "score_clinically",
    "review": "review_maps",
    "monitor": "training_monitor",
}
NOTEBOOKS_FOLDER = Path(__file__).parent / "apps"

#: A kernel that shows slices needs one core; more threads only take memory from other readers.
ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
} | {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}

_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_BASE_URL = re.compile(r"/(?:[A-Za-z0-9._~@%-]+/)*")


@dataclass(frozen=True, slots=True)
class Room:
    """One app for the readers of one study, or the monitor for whoever watches a training.

    Parameters
    ----------
    app
        `label`, `paint`, `clinical`, `review` or `monitor`.
    study
        Study folder with `cohort.csv`; None for the monitor.
    runs
        Folders of training runs, which need not be there yet; for the monitor only.
    host, port
        Where the server listens; behind a proxy the host is a loopback address.
    token
        Opens the app; made if left out. Not used behind a proxy.
    proxy_header
        Header in which an authenticating proxy names the reader, and only it can.
    base_url
        Path under which the app is reached, from `/` to `/`.
    pool
        Kernels kept ready, so that a page opens without waiting for Python to start.
    reader
        Name of the only reader, if there is one; else the app asks.
    seed, repeats, assistant, role
        How the queue is made: the app's options.
    abandoned_s, idle_s
        Seconds after which a kernel without a page, and one whose reader does nothing, is ended.

    Raises
    ------
    UsageError
        Where options contradict each other or one is out of its range.
    InputError
        `no_study`, `no_cohort` where the folder holds no study.
    """

    app: Literal["label", "paint", "clinical", "review", "monitor"]
    study: Path | None = None
    runs: tuple[Path, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8866
    token: str | None = None
    proxy_header: str | None = None
    base_url: str = "/"
    pool: int = 1
    reader: str | None = None
    seed: int | None = None
    repeats: float | None = None
    assistant: bool = False
    role: Literal["first", "second", "adjudication"] = "first"
    abandoned_s: float = 15 * 60
    idle_s: float = 8 * 3600

    def __post_init__(self) -> None:
        _check_options(self)
        if self.study is not None:
            _check_study(self.study)

    @property
    def notebook_file(self) -> Path:
        """The app's notebook of two cells."""
        return NOTEBOOKS_FOLDER / f"{NOTEBOOKS[self.app]}.ipynb"

    def address(self) -> str:
        """Where a browser on this machine finds the app, without the token.

        Example
        -------
        >>> from cacnb.serving.room import url
        >>> url("::1", 8866, "/cacnb/")
        'http://[::1]:8866/cacnb/'
        """
        return url(self.host, self.port, self.base_url)

    def environment(self) -> dict[str, str]:
        """What the app's kernel reads; no token is among it."""
        options = {
            "seed": self.seed, "repeats": self.repeats,
            "assistant": self.assistant, "role": self.role,
        }  # fmt: skip
        given = {name: value for name, value in options.items() if value is not None}
        environment = {"CACNB_OPTIONS": json.dumps(given)}
        if self.study is not None:
            environment["CACNB_STUDY"] = str(self.study.resolve())
        if self.runs:
            environment["CACNB_RUNS"] = json.dumps([str(run.resolve()) for run in self.runs])
        if self.proxy_header is not None:
            environment[READER_HEADER] = self.proxy_header
        elif self.reader is not None:
            environment[READER] = self.reader
        return environment | ONE_THREAD


def new_token() -> str:
    """48 hexadecimal digits that nobody can guess."""
    return secrets.token_hex(24)


def url(host: str, port: int, base_url: str) -> str:
    """An http address as a browser takes it; an IPv6 host stands in brackets."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}{base_url}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host's address.

    Example
    -------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_port(host: str, port: int) -> None:
    """Refuse a port on which the server could not listen.

    Raises
    ------
    InputError
        `port_in_use` or `cannot_listen`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            raise cannot_listen(host, port, error) from error


def cannot_listen(host: str, port: int, error: OSError) -> InputError:
    """The refusal for an address that the system does not give."""
    if error.errno == errno.EADDRINUSE:
        return InputError(
            "port_in_use", f"port {port} is in use on {host}: choose another with --port"
        )
    return InputError(
        "cannot_listen",
        f"the server cannot listen on {host}:{port} ({error.strerror}): "
        "choose another --host or --port",
    )


def _check_options(room: Room) -> None:
    if room.app not in NOTEBOOKS:
        known = ", ".join(NOTEBOOKS)
        raise UsageError(f"there is no app {room.app!r}: choose one of {known}")
    if room.app == "monitor" and (not room.runs or room.study is not None):
        raise UsageError("the monitor shows training runs, not a study: give --run DIR")
    if room.app != "monitor" and (room.study is None or room.runs):
        raise UsageError(f"the app {room.app} shows a study, not runs: give --study DIR")
    if not 1 <= room.port <= 65535:
        raise UsageError(f"port {room.port} is out of range: give --port 1 to 65535")
    if room.pool < 0:
        raise UsageError(f"--pool is {room.pool}: give 0 (none) or how many kernels to keep ready")
    if room.repeats is not None and not 0 <= room.repeats <= 0.5:
        raise UsageError(f"--repeats is {room.repeats}: give a share from 0 to 0.5")
    if not _BASE_URL.fullmatch(room.base_url):
        raise UsageError(
            f"--base-url {room.base_url} is no path: begin and end it with /, as in /cacnb/"
        )
    if room.token is not None and not room.token.strip():
        raise UsageError("the token is empty: leave --token out to get one that nobody can guess")
    if room.proxy_header is not None:
        _check_proxy(room)


def _check_proxy(room: Room) -> None:
    if not _HEADER.fullmatch(room.proxy_header or ""):
        raise UsageError(
            f"--proxy-header {room.proxy_header} is no header's name: give one as X-Remote-User"
        )
    if room.token is not None:
        raise UsageError("--token and --proxy-header were both given: the proxy is the login")
    if room.reader is not None:
        raise UsageError("--reader and --proxy-header were both given: the proxy names the reader")
    if not is_loopback(room.host):
        raise UsageError(
            f"--proxy-header trusts whoever reaches {room.host}: listen on --host 127.0.0.1 "
            "and let the proxy be the only way in"
        )


def _check_study(study: Path) -> None:
    if not study.is_dir():
        raise InputError(
            "no_study", f"{study} is not a folder: give --study a study folder with cohort.csv"
        )
    if not (study / "cohort.csv").is_file():
        raise InputError(
            "no_cohort",
            f"{study} has no cohort.csv: give --study a study folder (`cacnb simulate` makes one)",
        )
