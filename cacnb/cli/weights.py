"""Commands on trained networks: list, show, verify, make, export."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from cacnb.cli.terminal import Json, messages, output, print_json, print_rows
from cacnb.errors import UsageError

weights = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Packaged name, name in $CACNB_WEIGHTS, or folder.")]


@weights.command("list")
def list_all(
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="A folder of weights folders; else $CACNB_WEIGHTS."),
    ] = None,
    as_json: Json = False,
) -> None:
    """The packaged weights and your own, each with size, SHA-256 and whether it is intact.

    Example: cacnb weights list --folder my_weights
    """
    from cacnb.learning.weights_check import list_weights

    found = list(list_weights(folder))
    if as_json:
        print_json({"weights": [asdict(one) for one in found]})
    else:
        print_rows(
            "weights",
            [
                {
                    "name": one.name,
                    "MB": one.bytes / 1e6,
                    "SHA-256": (one.sha256 or "")[:16],
                    "verified": "yes" if one.verified else "no",
                    "trained on": one.trained_on,
                }
                for one in found
            ],
        )
    problems = [one.problem for one in found if one.problem]
    for problem in problems:
        messages.print(f"cacnb: {problem}", markup=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)


@weights.command("show")
def show(name: Name, as_json: Json = False) -> None:
    """The card in words: what it was trained on, limits, thresholds, figures, files, recipes.

    Example: cacnb weights show demo
    """
    from cacnb.learning.weights import load_weights
    from cacnb.learning.weights_card import card_lines

    found = load_weights(name)
    if as_json:
        print_json({**found.card, "sha256": found.sha256})
        return
    for line in card_lines(found.card, found.sha256):
        output.print(line, markup=False, soft_wrap=True)


@weights.command("verify")
def verify(name: Name, as_json: Json = False) -> None:
    """Hold every file against the card's SHA-256, load each network and let it answer.

    Example: cacnb weights verify demo
    """
    from cacnb.learning.weights_check import check_weights

    found = check_weights(name)
    if as_json:
        print_json(asdict(found))
        return
    print_rows(
        f"weights {found.name}", [{"file": key, **told} for key, told in found.files.items()]
    )
    output.print(f"SHA-256 {found.sha256}: every file is the card's, every network answers numbers")
    if found.difference is None:
        output.print("The card keeps no answers to compare these with.")
    else:
        output.print(f"Answers lie within {max(found.difference.values()):.1g} of the card's.")


@weights.command("make")
def make(
    heart: Annotated[Path, typer.Option("--heart", help="Run of the heart network.")],
    slices: Annotated[Path, typer.Option("--slices", help="Run of the slice classifier.")],
    decomposition: Annotated[Path, typer.Option("--decomposition", help="Run of the CycleGAN.")],
    name: Annotated[str, typer.Option("--name", help="Name in the card.")],
    out: Annotated[Path, typer.Option("--out", help="Weights folder to write.")],
    study: Annotated[
        list[Path] | None,
        typer.Option("--study", help="Learned from, where runs do not say it; repeatable."),
    ] = None,
    clinical: Annotated[
        Path | None, typer.Option("--clinical", help="Run of the clinical baseline.")
    ] = None,
    validation: Annotated[
        list[Path] | None,
        typer.Option("--validation", help="Other labelled study that chooses thresholds."),
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Take runs that are not at their end.")
    ] = False,
    checkpoint: Annotated[
        Literal["last", "chosen"],
        typer.Option("--checkpoint", help="Of the decomposition: last, or by its validation."),
    ] = "last",
    as_json: Json = False,
) -> None:
    """Turn finished runs into a weights folder that `--weights` takes, with its card.

    Example: cacnb weights make --heart runs/heart --slices runs/slices
    --decomposition runs/map --validation out/others --name mine --out mine
    """
    from cacnb.weights_from_runs import make_weights

    runs = {"heart": heart, "slices": slices, "decomposition": decomposition}
    if clinical is not None:
        runs["clinical"] = clinical
    card = make_weights(
        runs, name, out, studies=study, validation=validation, unfinished=unfinished,
        chosen=checkpoint == "chosen",
    )  # fmt: skip
    if as_json:
        print_json(card)
        return
    if not validation:
        messages.print("No --validation: the thresholds are untested defaults.")
    output.print(f"weights {name} in {out}: try `cacnb weights show {out}`", markup=False)


@weights.command("export")
def export(
    name: Name,
    out: Annotated[Path, typer.Option("--out", help="Folder to write; made if missing.")],
    to: Annotated[
        Literal["onnx", "folder"], typer.Option("--to", help="onnx, or a folder of plain layers.")
    ] = "folder",
    as_json: Json = False,
) -> None:
    """Write heart, slices and decomposition networks for other programs; docs/weights.md says how.

    Example: cacnb weights export demo --to onnx --out out/onnx
    """
    from cacnb.learning.weights import load_weights, weights_folder

    if out.resolve() == weights_folder(name).resolve():
        raise UsageError(f"--out is the folder of {name!r} itself: choose another")
    found = load_weights(name)
    if to == "folder":
        from cacnb.learning.plain_export import export_folder

        told = export_folder(found, out)
        if as_json:
            print_json(told)
            return
        output.print(f"{len(told['networks'])} networks and networks.json: {out}", markup=False)
        return
    from cacnb.learning.onnx_export import export_onnx

    files = export_onnx(found, out)
    if as_json:
        print_json({"files": [asdict(file) for file in files]})
        return
    print_rows(
        "ONNX beside PyTorch",
        [
            {
                "file": file.file,
                "bytes": file.bytes,
                "opset": file.opset,
                "largest value": file.max_abs,
                "largest difference": f"{file.max_abs_difference:.2g}",
            }
            for file in files
        ],
    )
    output.print(f"checked with ONNX Runtime, card in {out / 'onnx.json'}", markup=False)
