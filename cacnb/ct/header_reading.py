"""Headers of many files, several at a time; it does not know what is done with them.

Reading a header is waiting for the disk and parsing: a few threads wait together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cacnb.ct.dicom_headers import SliceHeader, read_header

#: What became of one file: its header, None where it is not DICOM, or why it cannot be read.
Read = SliceHeader | None | ValueError | OSError
#: Called with the number of headers read, of all, and what is being done.
Progress = Callable[[int, int, str], None]

#: On a disk that answers late they wait together.
THREADS = 4
_CHUNK = 64


def read_headers(paths: Sequence[Path], on_progress: Progress | None = None) -> list[Read]:
    """The header of every file, in the order of the paths; never raises for what a file holds."""
    tell = on_progress or (lambda *_: None)
    chunks = [paths[i : i + _CHUNK] for i in range(0, len(paths), _CHUNK)]
    found: list[Read] = []
    with ThreadPoolExecutor(THREADS) as threads:
        for read in threads.map(lambda chunk: [read_one(path) for path in chunk], chunks):
            found += read
            tell(len(found), len(paths), "headers")
    return found


def read_one(path: Path) -> Read:
    """The header of one file, or the error that it makes."""
    try:
        return read_header(path)
    except (ValueError, OSError) as error:
        return error
    except Exception:  # one file must not lose the others of its chunk
        return ValueError("the header breaks the parser")
