"""Appends labels until it is killed; writes each id that the store acknowledges to its output.

python writer.py PLACE SESSION [HOW MANY]
"""

import os
import sys

from cacnb.labels.events import LabelEvent
from cacnb.labels.store import LabelStore


def label(session: str, sequence: int) -> LabelEvent:
    return LabelEvent(
        session=session, sequence=sequence, action=sequence, kind="give", undoes=None,
        undoes_session=None, given_at=f"2026-01-31T08:15:00.{sequence:06d}+00:00", reader=session,
        app="label", app_version="0.1.0", study="demo", scan="scan01", scan_sha256="0" * 64,
        subject="slice", slice=sequence, item="", value="cac", seconds=1.0, role="first",
        reading=1, queue="random, seed 7", position=0, assistant=False,
    )  # fmt: skip


def main(place: str, session: str, many: str = "1000000") -> None:
    with LabelStore.open(place) as store:
        os.write(1, b"ready\n")
        for sequence in range(1, int(many) + 1):
            for kept in store.append([label(session, sequence)]):
                os.write(1, f"acknowledged {kept[0]} {kept[1]}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
