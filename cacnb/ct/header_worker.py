"""A program that reads names of files on standard input and writes their headers; it shows nothing.

`cacnb.ct.header_reading` starts it; nobody else needs to.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cacnb.ct.header_reading import read_one, receive, send, to_wire


def main() -> None:
    """Answer chunk after chunk until the other side closes."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            names = receive(source)
        except EOFError:
            return
        if not isinstance(names, list):
            return
        send(sink, [to_wire(read_one(Path(name))) for name in names])


if __name__ == "__main__":
    main()
