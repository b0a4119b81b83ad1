"""Who sits at the page, as the kernel is told by the server; it knows no widget and no login."""

from __future__ import annotations

import os
import time
from pathlib import Path

#: Folder, readable by the server's account alone, in which a kernel's id names its reader's file.
READERS_FOLDER = "CACNB_READERS"
READER = "CACNB_READER"
READER_HEADER = "CACNB_READER_HEADER"

_POLL_S = 0.05


def reader_name() -> str:
    """The reader's name that the server vouches for, or nothing: then the app asks for one.

    Behind an authenticating proxy the server writes the name under this kernel's id at the moment
    it hands the kernel to a page, so that it is there before the page can say anything. A kernel
    that is still waiting for its reader waits here; an app rather asks at the page's `hello`.
    A name that is not empty is not the page's to change.

    Returns
    -------
    str
        The proxy's name; without a proxy CACNB_READER; else "".

    Example
    -------
    >>> import os
    >>> os.environ["CACNB_READER"] = "reader 2"
    >>> reader_name()
    'reader 2'
    >>> del os.environ["CACNB_READER"]
    >>> reader_name()
    ''
    """
    folder = os.environ.get(READERS_FOLDER)
    if folder is None:
        return os.environ.get(READER, "").strip()
    file = Path(folder) / os.environ["VOILA_KERNEL_ID"]
    while not file.exists():
        time.sleep(_POLL_S)
    return file.read_text(encoding="utf-8")
