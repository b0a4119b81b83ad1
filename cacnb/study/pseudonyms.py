"""Names for patients, scans and UIDs by a keyed hash, and its key; it does not know who is who.

The key is a file of the user's outside the study. Without it nobody gets from a pseudonym to a
patient, not even by trying every patient's number; with it the same patient gets the same name.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from cacnb.errors import InputError
from cacnb.files import or_cannot_write, write_atomically

#: In a study's folder: a random name for the study, and what its key must answer.
STUDY_FILE = "pseudonyms.json"


@dataclass(frozen=True, repr=False)
class Pseudonyms:
    """The pseudonyms of one study.

    Parameters
    ----------
    key
        32 random bytes.
    file
        Where they are kept; the days of scans stand beside it.
    """

    key: bytes
    file: Path

    def patient(self, identity: str) -> str:
        """The pseudonym of a patient, 11 letters and digits."""
        return "p" + self._letters("patient", identity, 10)

    def scan(self, patient: str, identity: str) -> str:
        """The name of a scan: its patient's and a part of its own."""
        return f"{patient}_{self._letters('scan', identity, 8)}"

    def frame(self, uid: str) -> str:
        """The pseudonym of a frame of reference, empty where there is none."""
        return "f" + self._letters("frame", uid, 8) if uid else ""

    def uid(self, uid: str) -> str:
        """The UID that stands for another one, always the same (PS3.15, E.3.9)."""
        return f"2.25.{int.from_bytes(self._digest('uid', uid)[:16], 'big')}"

    @property
    def days_file(self) -> Path:
        """The user's own file of when each scan was made."""
        return self.file.with_name(f"{self.file.name}.days")

    def _digest(self, what: str, identity: str) -> bytes:
        return hmac.digest(self.key, f"{what}\0{identity}".encode(), "sha256")

    def _letters(self, what: str, identity: str, count: int) -> str:
        return base64.b32encode(self._digest(what, identity)).decode("ascii").lower()[:count]


def open_pseudonyms(study: Path, key_file: Path | None = None) -> Pseudonyms:
    """The pseudonyms of a study; a key is made, mode 0600, where the study has none yet.

    Without `key_file` the key is in the user's configuration folder, `XDG_CONFIG_HOME/cacnb` or
    `~/.config/cacnb`, under the study's name and number.

    Raises
    ------
    InputError
        `key_in_study`, `key_open` where others may read it, `no_key` where the study was begun with
        a key that is not here, `other_key`, `bad_key`, `cannot_write`.
    """
    about = _about(study)
    file = key_file or _default_file(study, about["study"])
    if file.resolve().is_relative_to(study.resolve()):
        raise InputError(
            "key_in_study",
            f"the key {file} is inside the study, a place outside was wanted: who gets the study "
            "must not get the key; move it and give --key FILE",
        )
    if file.exists():
        key = _read_key(file)
    elif "check" in about:
        raise InputError(
            "no_key",
            f"{study} was begun with a key that is not at {file}: give it with --key FILE, or "
            "begin a new study",
        )
    else:
        key = _make_key(file)
    found = Pseudonyms(key, file)
    check = found._letters("check", about["study"], 16)
    if about.get("check", check) != check:
        raise InputError(
            "other_key",
            f"{study} was begun with another key than {file}: a patient would get a second "
            "pseudonym; give the first key with --key FILE",
        )
    if "check" not in about:
        write_atomically(json.dumps({**about, "check": check}), study / STUDY_FILE)
    return found


def _about(study: Path) -> dict[str, str]:
    """The study's random number and its key's answer, if it has had a key."""
    file = study / STUDY_FILE
    if not file.is_file():
        return {"study": secrets.token_hex(4)}
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return {"study": str(told["study"]), "check": str(told["check"])}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "bad_key", f"{file} is damaged: bring it back from a copy of the study"
        ) from error


def _default_file(study: Path, number: str) -> Path:
    config = os.environ.get("XDG_CONFIG_HOME")
    folder = (Path(config) if config else Path.home() / ".config") / "cacnb"
    # A study that was renamed keeps its number.
    there = sorted(folder.glob(f"*-{number}.key"))
    return there[0] if there else folder / f"{study.resolve().name}-{number}.key"


def _read_key(file: Path) -> bytes:
    if os.name == "posix" and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(
            "key_open", f"others may read the key {file}, mode 0600 was wanted: chmod 600 {file}"
        )
    try:
        key = bytes.fromhex(file.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise InputError(
            "bad_key", f"{file} is no key, 64 hexadecimal digits were wanted: give the study's key"
        )
    return key


def _make_key(file: Path) -> bytes:
    key = secrets.token_bytes(32)
    with or_cannot_write(file):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as written:
            written.write(key.hex() + "\n")
            written.flush()
            os.fsync(written.fileno())
    return key
