"""All events of a store as one CSV or Parquet file and back, exactly; it knows no study.

A row is an event, in the order that the store has them; `id` stays behind, for it is the store's.
In CSV a text stands in quotes and nothing at all is nothing, so that None and "" stay apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import csv as pa_csv
from pyarrow import parquet as pa_parquet

from cacnb.errors import InputError, UsageError
from cacnb.files import write_atomically
from cacnb.labels.events import FIELD_TYPES, LabelEvent
from cacnb.labels.store import LabelStore

_ARROW: Mapping[str, pa.DataType] = {
    "str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(),
}  # fmt: skip

#: The columns of a file, in order.
FILE_SCHEMA = pa.schema([
    *(pa.field(name, _ARROW[kind.removesuffix(" | None")]) for name, kind in FIELD_TYPES.items()),
    pa.field("written_at", pa.string()),
])  # fmt: skip

FORMS = (".csv", ".parquet")


def export_labels(store: LabelStore, file: Path) -> int:
    """Write every event of a store, whole or not at all; how many there are.

    Raises
    ------
    UsageError
        For a file that is neither `.csv` nor `.parquet`.
    InputError
        `cannot_write`, and as the store.
    """
    form = _form(file)
    events = store.events()
    arrays = [
        pa.array(list(events[field.name].astype(object)), field.type, from_pandas=True)
        for field in FILE_SCHEMA
    ]
    table = pa.Table.from_arrays(arrays, schema=FILE_SCHEMA)
    out = BytesIO()
    if form == ".csv":
        pa_csv.write_csv(table, out)
    else:
        pa_parquet.write_table(table, out)
    write_atomically(out.getvalue(), file)
    return len(events)


def import_labels(store: LabelStore, file: Path) -> tuple[int, int]:
    """Add an export's events to a store, all or none: how many came, and how many were new.

    Events that the store has are passed over, so that a second import changes nothing.

    Raises
    ------
    UsageError
        For a file that is neither `.csv` nor `.parquet`.
    InputError
        `no_labels_file`, `bad_labels_file` for what is no export, `bad_label` with its row,
        `label_differs` where the store says otherwise; nothing is written then.
    """
    rows = _read(file).to_pylist()
    events: list[LabelEvent] = []
    written_at = [row.pop("written_at") for row in rows]
    for number, row in enumerate(rows, start=1):
        try:
            events.append(LabelEvent(**row))
        except InputError as error:
            raise InputError(
                error.code, f"label {number} of {file}: {error.message}; nothing was written"
            ) from error
    return len(rows), store.restore(events, written_at)


def _form(file: Path) -> str:
    if file.suffix not in FORMS:
        raise UsageError(f"{file} was named for labels: {' or '.join(FORMS)} was wanted")
    return file.suffix


def _read(file: Path) -> pa.Table:
    form = _form(file)
    if not file.is_file():
        raise InputError("no_labels_file", f"{file} is not there: name an export")
    try:
        if form == ".csv":
            table = pa_csv.read_csv(
                file,
                parse_options=pa_csv.ParseOptions(newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(
                    column_types=FILE_SCHEMA, null_values=[""], strings_can_be_null=True,
                    quoted_strings_can_be_null=False, include_columns=FILE_SCHEMA.names,
                ),
            )  # fmt: skip
        else:
            table = pa_parquet.read_table(file, columns=FILE_SCHEMA.names)
        return table.select(FILE_SCHEMA.names).cast(FILE_SCHEMA)
    except (pa.ArrowException, KeyError) as error:
        raise InputError(
            "bad_labels_file",
            f"{file} is no export of labels ({str(error).splitlines()[0]}): name a file that "
            "`cacnb study labels export` wrote",
        ) from error
