"""From two scored scans and a repeat study on disk to the change of one patient."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from cacnb.change.comparison import compare
from cacnb.change.repeat_limits import limits_of_card
from cacnb.change.scored_side import ScoredSide
from cacnb.cli.change import change
from cacnb.errors import InputError, UsageError
from cacnb.export.change_page import write_change_page
from cacnb.study.bland_altman import bland_altman
from cacnb.study.repeat import learn_repeat

WEIGHTS = {"name": "demo", "sha256": "ab" * 32, "trained_on": "simulated scans"}

app = typer.Typer()
app.command()(change)


def result(mass: float, **changed: Any) -> dict[str, Any]:
    """What `cacnb score` writes of a scan, with 1 Agatston for 100 HU·mm³, 1 clinical for 125."""
    return {
        "scan": "a", "path": "a.nii.gz", "series_uid": None, "verdict": "usable", "reasons": [],
        "weights": WEIGHTS, "lesions": [],
        "proposed": {"pseudo_mass_hu_mm3": mass, "agatston_adjusted": mass / 100},
        "clinical": {"agatston": mass / 125, "convention": "literature"},
        **changed,
    }  # fmt: skip


def write(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def repeat_pairs() -> np.ndarray:
    """(90, 2) masses: 60 pairs with calcium in both scans, 4 in one, 26 in none."""
    rng = np.random.default_rng(5)
    mean = rng.uniform(2_000, 40_000, 60)
    size = rng.normal(0, 1, 60) * 0.12 * mean
    masses = np.zeros((90, 2))
    masses[:60] = np.stack([mean + size / 2, mean - size / 2], axis=1)
    masses[60:64, 1] = [500, 700, 900, 2_500]
    return masses


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "repeats"
    (folder / "scores").mkdir(parents=True)
    rows = []
    for pair, masses in enumerate(repeat_pairs()):
        for scan, mass in zip("ab", masses, strict=True):
            name = f"{pair:02d}{scan}"
            rows.append({"scan": name, "patient": pair, "pair": pair, "path": f"{name}.nii.gz"})
            write(folder / "scores" / f"{name}.json", result(float(mass)))
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    return folder


@pytest.fixture
def scans(tmp_path: Path) -> tuple[str, str]:
    return (
        write(tmp_path / "baseline.json", result(10_000)),
        write(tmp_path / "followup.json", result(16_000)),
    )


def test_a_change_is_held_against_the_limits_of_the_repeat_study(
    scans: tuple[str, str], study: Path
) -> None:
    both = repeat_pairs()[:60]
    limits = bland_altman(both[:, 0], both[:, 1])
    found = compare(*scans, repeat=study)
    proposed = found.by_method["proposed"]
    assert proposed.change == 6_000
    assert proposed.limit == pytest.approx(float(limits.limit_at(13_000.0)))
    assert proposed.outside is True
    assert (proposed.repeat.n_pairs, proposed.repeat.n_zero_scans) == (60, 56)
    assert list(found.by_method) == ["proposed", "proposed_agatston", "clinical"]
    assert found.by_method["clinical"].limit == pytest.approx(proposed.limit / 125)
    assert found.mesa is None


def test_a_study_with_a_truth_is_called_simulated(scans: tuple[str, str], study: Path) -> None:
    assert not compare(*scans, repeat=study).simulated
    (study / "truth_scans.csv").write_text("scan,mass_mg,visible\n", encoding="utf-8")
    found = compare(*scans, repeat=study)
    assert found.simulated
    reference = found.as_json()["by_method"]["clinical"]["reference"]
    assert reference["simulated"] is True
    assert reference["study"] == "repeats"


def test_calcium_that_appeared_is_held_against_scans_scored_zero(
    tmp_path: Path, study: Path
) -> None:
    none = write(tmp_path / "none.json", result(0))
    some = write(tmp_path / "some.json", result(800))
    found = compare(none, some, repeat=study).by_method["proposed"]
    assert (found.n_as_far, found.probability) == (2, pytest.approx(3 / 57))
    assert found.outside is False
    more = write(tmp_path / "more.json", result(3_000))
    assert compare(none, more, repeat=study).by_method["proposed"].outside is True


def test_a_refused_repeat_scan_leaves_its_pair_out(scans: tuple[str, str], study: Path) -> None:
    refused = {"verdict": "refused", "reasons": [{"code": "contrast", "message": "…"}]}
    write(study / "scores" / "00a.json", refused)
    assert compare(*scans, repeat=study).by_method["proposed"].repeat.n_pairs == 59


def test_a_folder_with_one_result_will_do(scans: tuple[str, str], study: Path) -> None:
    folder = Path(scans[0]).with_suffix("")
    folder.mkdir()
    write(folder / "a.json", {"scans": [result(10_000)]})
    assert compare(str(folder), scans[1], repeat=study).by_method["proposed"].change == 6_000
    write(folder / "b.json", result(11_000))
    with pytest.raises(UsageError, match="holds 2 results"):
        compare(str(folder), scans[1], repeat=study)


def test_two_numbers_are_clinical_scores_unless_said(study: Path) -> None:
    found = compare("80", "128", repeat=study)
    assert list(found.by_method) == ["clinical"]
    assert found.by_method["clinical"].change == 48
    mass = compare("10000", "16000", repeat=study, score="proposed")
    assert mass.by_method["proposed"].change == 6_000
    with pytest.raises(UsageError, match="a number and a scan"):
        compare("80", str(study), repeat=study)


def test_a_table_of_paired_scores_tells_the_limits_of_one_score(
    tmp_path: Path, scans: tuple[str, str]
) -> None:
    masses = repeat_pairs() / 125
    table = tmp_path / "pairs.csv"
    pd.DataFrame(masses, columns=["scan", "rescan"]).to_csv(table, index=False)
    found = compare(*scans, repeat=table, first="scan", second="rescan", score="clinical",
                    simulated=True, model="sqrt_origin")  # fmt: skip
    expected = learn_repeat(*masses.T, name="a", model="sqrt_origin")
    assert found.by_method["clinical"].limit == pytest.approx(float(expected.limit_at(104.0)))
    assert found.simulated
    assert compare("80", "128", repeat=table, first="scan", second="rescan").by_method
    with pytest.raises(UsageError, match="say which, --score"):
        compare(*scans, repeat=table, first="scan", second="rescan")
    with pytest.raises(UsageError, match="--first and --second"):
        compare("80", "128", repeat=table)
    with pytest.raises(UsageError, match="columns are of a table"):
        compare("80", "128", first="scan", second="rescan")


def test_mesas_limit_is_of_the_clinical_score_and_needs_the_body_mass_index(
    scans: tuple[str, str], study: Path, tmp_path: Path
) -> None:
    found = compare(*scans, repeat=study, bmi_kg_m2=27.0).mesa
    assert found is not None
    assert found.limit == pytest.approx(0.17 * 80 + 4.89 * np.sqrt(80) + 0.44 * 27 - 10.84)
    assert (found.baseline, found.followup, found.outside) == (80, 128, False)
    page = tmp_path / "change.html"
    only = compare(*scans, repeat=study, bmi_kg_m2=27.0, score="proposed")
    write_change_page(only.by_method, page, mesa=only.mesa, notes=only.notes)
    assert "Clinical Agatston score, by MESA" in page.read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="kg/m²"):
        compare(*scans, repeat=study, bmi_kg_m2=1.8)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"weights": {"name": "mine", "sha256": "cd" * 32}}, "'mine' .*one `--weights`"),
        ({"clinical": {"agatston": 128, "convention": "qurai"}}, "'qurai': score both by one"),
    ],
)
def test_scans_scored_in_two_ways_are_not_compared(
    scans: tuple[str, str], study: Path, tmp_path: Path, other: dict[str, Any], said: str
) -> None:
    changed = write(tmp_path / "other.json", result(16_000, **other))
    with pytest.raises(InputError, match=said) as refusal:
        compare(scans[0], changed, repeat=study)
    assert refusal.value.code == "not_comparable"
    write(study / "scores" / "00a.json", result(16_000, **other))
    with pytest.raises(InputError, match="the repeat study"):
        compare(*scans, repeat=study)


def test_a_refused_scan_has_no_change(scans: tuple[str, str], study: Path, tmp_path: Path) -> None:
    refused = {"verdict": "refused", "reasons": [{"code": "contrast", "message": "…"}]}
    with pytest.raises(InputError, match=r"refused \(contrast\)") as refusal:
        compare(scans[0], write(tmp_path / "refused.json", refused), repeat=study)
    assert refusal.value.code == "refused"
    with pytest.raises(InputError, match="no result of `cacnb score`"):
        compare(scans[0], write(tmp_path / "else.json", [1, 2]), repeat=study)
    with pytest.raises(InputError, match="does not exist"):
        compare(scans[0], "nowhere.json", repeat=study)


def test_what_a_reader_must_know_is_noted(
    scans: tuple[str, str], study: Path, tmp_path: Path
) -> None:
    warned = result(
        160_000, verdict="warned", reasons=[{"code": "too_thick", "message": "…"}], series_uid="1.2"
    )
    notes = compare(scans[0], write(tmp_path / "warned.json", warned), repeat=study).notes
    assert notes[0] == "The follow-up was scored with a warning: too_thick."
    assert "no pair of the repeat study has such a mean" in notes[1]
    same = str(tmp_path / "warned.json")
    assert "Baseline and follow-up are the same series." in compare(same, same, repeat=study).notes


def test_a_repeat_study_that_is_too_small_or_not_scored_is_refused(
    scans: tuple[str, str], study: Path
) -> None:
    cohort = pd.read_csv(study / "cohort.csv", dtype=str)
    cohort[:10].to_csv(study / "cohort.csv", index=False)
    with pytest.raises(InputError, match="5 pairs with calcium in both") as refusal:
        compare(*scans, repeat=study)
    assert refusal.value.code == "too_few"
    for file in (study / "scores").glob("*.json"):
        file.unlink()
    with pytest.raises(InputError, match="cacnb score --study"):
        compare(*scans, repeat=study)
    cohort.drop(columns="pair").to_csv(study / "cohort.csv", index=False)
    with pytest.raises(InputError, match="no column `pair`"):
        compare(*scans, repeat=study)


class _Card:
    """What of loaded weights the limits are read from."""

    name, sha256 = "demo", "ab" * 32

    def __init__(self, **card: Any) -> None:
        self.card = card


def test_limits_may_come_with_the_weights() -> None:
    learned = learn_repeat(*repeat_pairs().T, name="simulated RTP pairs", simulated=True)
    side = ScoredSide("a", {"proposed": 1.0, "clinical": 1.0}, weights=WEIGHTS)
    weights = _Card(repeat={"mass": learned.as_card()})
    known, left_out = limits_of_card(weights, (side, side), ["proposed", "clinical"])  # type: ignore[arg-type]
    assert known["proposed"].limit_at(9_000.0) == pytest.approx(learned.limit_at(9_000.0))
    assert known["proposed"].simulated
    assert left_out == [
        "Clinical Agatston score: the weights 'demo' come without its repeat limits."
    ]
    other = ScoredSide("a", {"proposed": 1.0}, weights={"name": "mine", "sha256": "cd" * 32})
    with pytest.raises(InputError, match="the packaged repeat study"):
        limits_of_card(weights, (other, other), ["proposed"])  # type: ignore[arg-type]


def test_weights_without_limits_say_what_to_give() -> None:
    side = ScoredSide("a", {"clinical": 1.0}, weights=WEIGHTS)
    with pytest.raises(InputError, match=r"give --repeat STUDY.*--repeat PAIRS.csv") as refusal:
        limits_of_card(_Card(), (side, side), ["clinical"])  # type: ignore[arg-type]
    assert refusal.value.code == "no_repeat_limits"


def test_the_command_prints_the_promised_object(scans: tuple[str, str], study: Path) -> None:
    call = [*scans, "--repeat", str(study), "--bmi", "27", "--years", "3", "--json"]
    printed = CliRunner().invoke(app, call)
    assert printed.exit_code == 0
    found = json.loads(printed.stdout)
    assert {"baseline", "followup", "by_method", "mesa"} <= set(found)
    for method in ("proposed", "clinical"):
        assert {"score", "change", "limit", "outside", "probability", "reference"} <= set(
            found["by_method"][method]
        )
        assert {"study", "n_pairs", "model", "simulated"} <= set(
            found["by_method"][method]["reference"]
        )
    assert found["by_method"]["clinical"]["percent_change_per_year"] == pytest.approx(20)
    assert found["mesa"]["outside"] is False


def test_the_command_tells_people_the_count_and_that_it_is_for_research(
    scans: tuple[str, str], study: Path
) -> None:
    (study / "truth_scans.csv").write_text("scan\n", encoding="utf-8")
    printed = CliRunner().invoke(app, [*scans, "--repeat", str(study)])
    assert printed.exit_code == 0
    assert "limits of simulated scans" in printed.stdout
    assert "simulated repeat pairs with this much calcium" in printed.stdout
    assert "not for diagnosis" in printed.stdout


def test_a_scan_that_is_not_scored_yet_is_scored_with_the_named_weights(
    monkeypatch: pytest.MonkeyPatch, scans: tuple[str, str], study: Path, tmp_path: Path
) -> None:
    image = tmp_path / "scan.nii.gz"
    image.write_bytes(b"")
    asked = []

    class Scored:
        def as_json(self) -> dict[str, Any]:
            return result(12_000)

    def load(name: str, device: str) -> _Card:
        asked.append((name, device))
        return _Card()

    def score(path: Path, weights: _Card) -> Scored:
        asked.append((path, weights.name))
        return Scored()

    monkeypatch.setattr("cacnb.learning.weights.load_weights", load)
    monkeypatch.setattr("cacnb.pipeline.score_scan", score)
    found = compare(scans[0], str(image), repeat=study, weights="demo", device="cpu")
    assert asked == [("demo", "cpu"), (image, "demo")]
    assert found.by_method["proposed"].change == 2_000
