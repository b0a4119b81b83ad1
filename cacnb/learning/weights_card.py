"""A weights card in words; it adds nothing to what the card says."""

from __future__ import annotations

from typing import Any


def card_lines(card: dict[str, Any], sha256: str | None = None) -> list[str]:
    r"""What a person wants to know of weights, as lines of Markdown.

    Example
    -------
    >>> card = {
    ...     "name": "mine", "trained_on": "study1 (simulated)", "torch": "2.13.0",
    ...     "limits": ["Research software."], "thresholds": {"slice_probability": 0.5},
    ...     "files": {"arteries": {"bytes": 5, "sha256": "00ff"}},
    ... }
    >>> print("\n".join(card_lines(card)[:6]))
    # Weights `mine`
    <BLANKLINE>
    Trained on: study1 (simulated).
    Made with torch 2.13.0.
    <BLANKLINE>
    - Research software.
    """
    files: dict[str, dict[str, Any]] = card["files"]
    lines = [f"# Weights `{card['name']}`", ""]
    lines.append(f"Trained on: {card.get('trained_on', 'not told')}.")
    if "torch" in card:
        lines.append(f"Made with torch {card['torch']}.")
    if sha256 is not None:
        lines.append(f"SHA-256 of networks and thresholds: `{sha256}`.")
    lines += ["", *(f"- {limit}" for limit in card.get("limits", []))]
    lines += ["", "## Thresholds", "", f"Chosen on: {_chosen_on(card)}.", ""]
    lines += _items(card.get("thresholds", {}))
    for key in ("validation", "clinical_validation"):
        if card.get(key):
            title = key.replace("_", " ").capitalize()
            lines += ["", f"## {title}{_simulated(card)}", "", *_items(card[key])]
    lines += ["", "## Files", "", "| file | bytes | SHA-256 |", "|---|---|---|"]
    lines += [
        f"| {name}.safetensors | {told.get('bytes', '')} | `{told['sha256']}` |"
        for name, told in files.items()
    ]
    lines += ["", "## Recipes", ""]
    for name, told in files.items():
        if "recipe" in told:
            values = ", ".join(f"{key} {_told(value)}" for key, value in told["recipe"].items())
            lines.append(f"- {name}: {values}")
    return lines


def _chosen_on(card: dict[str, Any]) -> str:
    """Which scans chose the thresholds, in words."""
    if "thresholds_chosen_on" in card:
        return str(card["thresholds_chosen_on"] or "nothing, these are untested defaults")
    return "validation scans" if card.get("validation") else "not told"


def _simulated(card: dict[str, Any]) -> str:
    """A word for figures from simulated scans."""
    chosen_on = card.get("thresholds_chosen_on") or card.get("trained_on", "")
    return " (simulated)" if "simulated" in chosen_on else ""


def _items(values: dict[str, Any]) -> list[str]:
    return [f"- {key.replace('_', ' ')}: {_told(value)}" for key, value in values.items()]


def _told(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(_told(one) for one in value) or "none"
    if isinstance(value, dict):
        return " ".join(f"{key} {_told(one)}" for key, one in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
