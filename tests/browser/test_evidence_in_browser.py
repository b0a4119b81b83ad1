import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cacnb.agree import agreement
from cacnb.export.agreement_page import write_agreement_page
from cacnb.export.study_report import write_study_report

pytestmark = pytest.mark.browser

METHODS = ("proposed", "clinical_manual", "clinical_automatic")

#: What an A4 sheet holds inside margins of 13 mm, in CSS pixels of 1/96 inch.
SHEET_PX = (695, 1024)


def with_intervals(row, **values):
    return row | values | {f"{k}_ci95": [v - 0.08, v + 0.08] for k, v in values.items()}


def tables():
    return {
        "detection_per_scan": [
            with_intervals({"method": m, "f1": 0.8, "accuracy": 0.9, "true_positive": 1730,
                            "false_positive": 21, "false_negative": 15, "true_negative": 1290},
                           sensitivity=0.83, false_positive_rate=0.14)
            for m in METHODS
        ],
        "detection_per_artery": [
            with_intervals({"method": m, "artery": a, "n_single": 1020, "detected_single": 810,
                            "n_pairs": 510, "detected_pairs": 340},
                           sensitivity=0.79, pair_sensitivity=0.67)
            for m in METHODS for a in ("CAC", "LAD", "RCA", "LCX")
        ],
        "reproducibility_per_artery": [
            with_intervals({"method": m, "artery": a}, relative_difference_any_positive=0.95,
                           relative_difference_both_positive=0.55)
            for m in METHODS for a in ("CAC", "LAD", "RCA", "LCX")
        ],
        "reproducibility": [
            with_intervals({"method": m, "n_pairs": 1543, "n_both_positive": 515},
                           relative_difference_any_positive=0.88, icc_mass=0.9, icc_agatston=0.9,
                           relative_difference_both_positive=0.44, icc_mass_both_positive=0.9,
                           icc_agatston_both_positive=0.9)
            for m in METHODS
        ],
        "risk_categories": [
            with_intervals({"method": m, "pairs": p, "n_pairs": 1543, "kappa_quadratic": 0.9},
                           kappa_linear=0.84, accuracy=0.9)
            for m in METHODS for p in ("all", "both_positive_by_automatic")
        ],
        "comparison": [
            with_intervals({"one": "proposed", "other": m, "n": 1543, "p_value": 0.0001,
                            "statistic": "relative_difference_both_positive",
                            "test": "Wilcoxon, bootstrap"}, difference=-0.14)
            for m in METHODS[1:]
        ],
        "refused": [{"scan": "long-" * 40, "why": "contrast: the heart holds 287 HU"}],
    }  # fmt: skip


def scores(n=60):
    random = np.random.default_rng(0)
    base = random.lognormal(4, 1.5, n)
    return pd.DataFrame(
        {
            f"{method}_agatston_{scan}": base * np.exp(random.normal(0, 0.3, n))
            for method in METHODS
            for scan in (1, 2)
        }
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evidence")
    picture = io.BytesIO()
    Image.new("RGB", (956, 400), "grey").save(picture, "PNG")
    write_study_report(
        tables(), scores(), folder / "study", title="Held-out pairs of a study", simulated=True,
        facts={"Convention": "literature, 130 HU", "Weights": "demo, SHA-256 0123456789ab…"},
        examples_png=picture.getvalue(), examples_caption="Figure 7. Chosen by size alone.",
    )  # fmt: skip
    one, two = (scores()[f"proposed_agatston_{scan}"].to_numpy() for scan in (1, 2))
    found = {"first": "scan", "second": "rescan", "n_missing": 0, **agreement(one, two)}
    write_agreement_page(found, one, two, folder / "agreement.html", title="Two scans")
    return {"study": folder / "study" / "report.html", "agreement": folder / "agreement.html"}


@pytest.fixture(params=["study", "agreement"])
def opened(request, open_page, pages):
    page = open_page(pages[request.param])
    page.name = request.param
    return page


def test_a_page_opens_without_the_network_and_without_complaint(opened, pages):
    assert opened.asked[0] == pages[opened.name].as_uri()
    assert all(url.startswith("data:image/png") for url in opened.asked[1:])
    assert opened.said == []


@pytest.mark.parametrize("width", [1280, 1024, 400])
def test_a_page_needs_no_sideways_scrolling(opened, width):
    opened.set_viewport_size({"width": width, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_tables_and_figures_fit_a_laptop(opened):
    opened.set_viewport_size({"width": 1024, "height": 800})
    wide = opened.eval_on_selector_all(
        ".scroll", "all => all.filter(e => e.scrollWidth > e.clientWidth).length"
    )
    assert wide == 0
    figures = opened.eval_on_selector_all(
        "figure svg, figure img",
        """all => all.map(e => {
          const own = e.getBoundingClientRect();
          const around = e.closest("section").getBoundingClientRect();
          return [own.width, own.height, around.right - own.right];
        })""",
    )
    assert len(figures) >= 3
    assert all(width > 200 and height > 100 and room >= 0 for width, height, room in figures)


def test_every_picture_is_said_in_words(opened):
    said = opened.eval_on_selector_all(
        "figure svg, figure img", "all => all.map(e => e.getAttribute('aria-label') || e.alt)"
    )
    assert all(len(words) > 25 for words in said)


def test_text_outside_the_figures_stands_out_from_its_ground(opened, faint_text):
    assert faint_text(opened, "*:not(svg *)") == []


def test_a_page_prints_within_a_sheet_of_a4(opened):
    opened.emulate_media(media="print")
    width, height = SHEET_PX
    opened.set_viewport_size({"width": width, "height": height})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    if opened.name == "study":
        bottom = opened.eval_on_selector("#numbers", "e => e.getBoundingClientRect().bottom")
        assert bottom <= height, "Tables 3, 4 and 5 stand on the first sheet"
        figures = opened.eval_on_selector_all(
            "figure", "all => all.map(e => e.getBoundingClientRect().height)"
        )
        assert max(figures) < height
