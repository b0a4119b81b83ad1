"""The command that serves an app to its readers: serve."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Literal

import typer

from cacnb import RESEARCH_ONLY
from cacnb.cli.terminal import messages
from cacnb.errors import InputError, UsageError

#: Packages of the extra `apps` without which no app opens.
APPS_PACKAGES = ("voila", "anywidget", "ipykernel")


def serve(
    app: Annotated[
        Literal["label", "paint", "clinical", "review", "monitor"],
        typer.Argument(
            help="Label slices, paint regions, score clinically, review maps, or monitor trainings."
        ),
    ],
    study: Annotated[
        Path | None, typer.Option("--study", help="Study folder with cohort.csv.")
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", help="Folder of a training, for the monitor; may be repeated."),
    ] = None,
    port: Annotated[int, typer.Option("--port", help="Port to listen on.")] = 8866,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; 0.0.0.0 is every one.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            "--token", envvar="CACNB_TOKEN", show_envvar=True,
            help="Opens the app; made and shown if left out.",
        ),
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="No token: only with --proxy-header.")
    ] = False,
    proxy_header: Annotated[
        str | None,
        typer.Option("--proxy-header", help="The sign-in in front names readers so: X-Remote-User"),
    ] = None,
    base_url: Annotated[str, typer.Option("--base-url", help="Path of the app: /cacnb/")] = "/",
    pool: Annotated[int, typer.Option("--pool", help="Kernels kept ready for readers.")] = 1,
    reader: Annotated[
        str | None, typer.Option("--reader", help="The only reader's name; else the app asks.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the scans' order.")] = None,
    repeats: Annotated[
        float | None, typer.Option("--repeats", help="Share of scans shown a second time.")
    ] = None,
    assistant: Annotated[
        bool,
        typer.Option("--assistant", help="Least sure scans first; recorded, because it biases."),
    ] = False,
    role: Annotated[
        Literal["first", "second", "adjudication"],
        typer.Option("--role", help="What the readers are asked for."),
    ] = "first",
) -> None:  # fmt: skip
    """Serve one app to the readers of a study, or the monitor of trainings, until Ctrl-C.

    Example: cacnb serve label --study out/pairs
    Example: cacnb serve monitor --run runs/decomposition
    """
    if no_token and proxy_header is None:
        raise UsageError("--no-token lets everybody in: give --proxy-header, or leave it out")
    _need_apps()
    from cacnb.serving.room import Room, new_token

    made = new_token() if token is None and proxy_header is None else None
    room = Room(
        app=app, study=study, runs=tuple(run or ()), host=host, port=port, token=made or token,
        proxy_header=proxy_header, base_url=base_url, pool=pool, reader=reader,
        seed=seed, repeats=repeats, assistant=assistant, role=role,
    )  # fmt: skip
    shown = (
        f"study {study} · labels {_labels(study)}"
        if study
        else f"run {', '.join(map(str, room.runs))}"
    )

    from cacnb.serving.server import serve as serve_room

    def say() -> None:
        address = room.address() + (f"?token={made}" if made else "")
        messages.print(
            f"cacnb {app}: open {address} · {shown} · "
            f"{RESEARCH_ONLY} Ctrl-C stops.",
            markup=False, soft_wrap=True,
        )  # fmt: skip

    serve_room(room, say)
    messages.print(
        "cacnb: stopped; every label that a page showed as saved is in the store" if study
        else "cacnb: stopped; no training was touched"
    )  # fmt: skip


def _labels(study: Path) -> str:
    """Where labels go, without a password; a store that cannot be used is refused here."""
    from cacnb.labels.databases import in_words
    from cacnb.labels.place import open_labels

    with open_labels(study) as store:
        store.check()
        return in_words(store.url)


def _need_apps() -> None:
    missing = [name for name in APPS_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            "apps_missing",
            f"the apps need {', '.join(missing)}: pip install 'cacnb[apps]'",
        )
