import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from cacnb import RESEARCH_ONLY, __version__
from cacnb.errors import InputError, UsageError
from cacnb.export.report import LESIONS_SHOWN, write_report

DATA_URI = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")


class Page(HTMLParser):
    """The text of a report, its tables as rows of cells by class, and what each tag carries."""

    def __init__(self, html):
        super().__init__()
        self.text, self.tags, self.tables, self.captions = "", [], {}, []
        self._where, self._rows = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._where.append(tag)
        if tag == "table":
            self._rows = self.tables.setdefault(dict(attributes)["class"], [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        elif tag == "caption":
            self.captions.append("")

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._rows[-1][-1] = self._rows[-1][-1].rstrip()
        while self._where and self._where.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" in self._where:
            return
        self.text += data
        if {"td", "th"} & set(self._where):
            self._rows[-1][-1] = (self._rows[-1][-1] + data).lstrip()
        elif "caption" in self._where:
            self.captions[-1] += data

    def row(self, table, first):
        return next(cells for cells in self.tables[table] if cells and cells[0] == first)

    def values(self, tag, key):
        return [attributes.get(key) for name, attributes in self.tags if name == tag]


@pytest.fixture
def report(tmp_path):
    def write(scans, title="Coronary calcium", **said):
        write_report(scans, tmp_path / "report.html", title=title, **said)
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return write


def pictures_of(html):
    return [Image.open(io.BytesIO(base64.b64decode(uri))) for uri in DATA_URI.findall(html)]


def test_the_report_prints_the_scores_of_both_methods(scan, report):
    page = Page(report([scan]))
    proposed, clinical = scan.proposed, scan.clinical
    for first, ours, theirs in (
        ("Pseudo-mass, HU·mm³", proposed.pseudo_mass_hu_mm3, clinical.pseudo_mass_hu_mm3),
        (
            "Agatston score, adjusted and conventional",
            proposed.agatston_adjusted,
            clinical.agatston,
        ),
        ("Volume, mm³", proposed.volume_mm3, clinical.volume_mm3),
    ):
        assert page.row("scores", first)[1:] == [f"{ours:.1f}", f"{theirs:.1f}"]
        assert {repr(float(ours)), repr(float(theirs))} <= set(page.values("data", "value"))
    categories = page.row("scores", "Risk category")
    assert [c.split(" ")[0] for c in categories[1:]] == [
        proposed.risk_category,
        clinical.risk_category,
    ]
    assert "literature, 130 HU" in page.text


def test_a_calibration_factor_gives_both_masses_in_mg(scan, report):
    assert "Mass, mg" not in report([scan])
    page = Page(report([scan], mg_per_hu_mm3=0.001))
    assert page.row("scores", "Mass, mg")[1:] == [
        f"{scan.proposed.pseudo_mass_hu_mm3 / 1000:.1f}",
        f"{scan.clinical.pseudo_mass_hu_mm3 / 1000:.1f}",
    ]


def test_a_mass_that_the_scores_carry_needs_no_factor(scan, report):
    calibrated = replace(scan, proposed=replace(scan.proposed, mass_mg=12.34))
    assert Page(report([calibrated])).row("scores", "Mass, mg")[1:] == ["12.3", "–"]


def test_the_truth_stands_beside_the_scores_of_a_simulated_scan(scan, report):
    page = Page(report([scan], simulated=True, truth={"first": 21.44, "another": 3.0}))
    assert page.row("scores", "Mass, mg")[1:] == ["–", "–", "21.4"]
    assert "Without a calibration factor" in page.text


def test_everything_says_simulated_where_it_is(scan, rescan, report):
    html = report([scan, rescan], simulated=True, pairs=[("first", "second")])
    page = Page(html)
    assert "<title>Coronary calcium (simulated)</title>" in html
    assert "Simulated data: every scan" in page.text
    assert len(page.captions) == 6
    assert all("simulated" in words for words in (*page.captions, *page.values("img", "alt")))
    assert "simulated" not in Page(report([replace(scan, weights={})])).text


def test_a_truth_for_a_scan_that_is_not_simulated_is_refused(scan, report):
    with pytest.raises(UsageError, match="only those have one"):
        report([scan], truth={"first": 3.0})


def test_scan_and_rescan_are_compared_by_both_methods(scan, rescan, without_calcium, report):
    scans = [scan, rescan, without_calcium, replace(without_calcium, name="again")]
    pairs = [("first", "second"), ("empty", "again"), ("first", "empty")]
    page = Page(report(scans, pairs=pairs))
    rows = {cells[0]: cells[1:] for cells in page.tables["pairs"]}
    a, b = scan.proposed.pseudo_mass_hu_mm3, rescan.proposed.pseudo_mass_hu_mm3
    difference = f"{100 * abs(a - b) / ((a + b) / 2):.1f} %"
    assert rows["first, second"][:3] == [f"{a:.1f}", f"{b:.1f}", difference]
    assert rows["empty, again"][:3] == ["0.0", "0.0", "–"]
    assert rows["first, empty"][2] == "200.0 %"
    assert rows["Mean, calcium found in both scans"][:2] == ["1 of 3 pairs", difference]
    assert rows["Mean, calcium found in either"][0] == "2 of 3 pairs"


def test_a_pair_with_a_refused_scan_has_no_difference(scan, refused, report):
    page = Page(report([scan, refused], pairs=[("first", refused.name)]))
    row = page.row("pairs", f"first, {refused.name}")
    assert row[2:4] == ["–", "–"]
    assert page.row("pairs", "Mean, calcium found in both scans")[1:3] == ["0 of 0 pairs", "–"]


@pytest.mark.parametrize("names", [("first", "nobody"), ("twin", "twin")])
def test_a_pair_names_exactly_one_scan(scan, names, report):
    twins = [scan, replace(scan, name="twin"), replace(scan, name="twin")]
    with pytest.raises(UsageError, match="a pair names the scan"):
        report(twins, pairs=[names])


def test_a_refused_scan_is_shown_with_its_reasons_and_no_scores(refused, report):
    html = report([refused])
    page = Page(html)
    assert "contrast medium fills the <b>heart</b> & the vessels" in page.text
    assert "A refused scan has no scores" in page.text
    assert not pictures_of(html)
    assert "scores" not in page.tables


def test_nothing_from_a_file_is_taken_for_markup(scan, refused, report):
    html = report([scan, refused], title="<script>alert(2)</script>")
    assert "<script" not in html
    assert '<img src="x">' not in html
    assert "<b>heart</b>" not in html
    assert "study/&lt;script&gt;" not in html  # only the last two parts, and the slash is one
    assert "&lt;script&gt;alert(2)" in html


def test_only_the_last_two_parts_of_a_path_are_told(scan, report):
    html = report([scan])
    assert "scans/first.nii.gz" in html
    assert "somebody" not in html


def test_the_file_asks_the_network_for_nothing(scan, rescan, report, tmp_path):
    html = report([scan, rescan], pairs=[("first", "second")])
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    bare = DATA_URI.sub("", html).replace("http-equiv", "")
    assert not re.search(r"http|//|@import|<link|<script|<iframe|srcset", bare)
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in html
    assert all(source.startswith("data:image/png") for source in Page(html).values("img", "src"))


def test_the_research_sentence_stands_first_and_last(scan, report):
    text = Page(report([scan])).text
    assert text.count(RESEARCH_ONLY) == 2
    assert text.index(RESEARCH_ONLY) < text.index("Pseudo-mass")
    assert text.rindex(RESEARCH_ONLY) > text.rindex("SHA-256")
    assert f"cacnb {__version__}" in text


def test_the_slices_that_matter_are_pictured_in_two_windows(scan, report):
    html = report([scan])
    pictures = pictures_of(html)
    assert len(pictures) == 4
    assert {picture.size for picture in pictures} == {(1068, 264)}
    alts = Page(html).values("img", "alt")
    assert all("the CAC map in colour" in alt and "z " in alt for alt in alts)
    assert "P(CAC) 0.25" in re.sub(r"\s+", " ", Page(html).text)


def test_an_empty_map_shows_the_middle_of_the_heart_and_says_so(without_calcium, report):
    html = report([without_calcium])
    assert len(pictures_of(html)) == 2
    assert "No calcium was found by the proposed method" in html
    assert "Shown is the middle of the heart" in html
    assert "slice 13 of 24" in Page(html).text


def test_a_probability_that_nobody_computed_is_a_dash(scan, report):
    unknown = replace(scan, probability_of_cac=np.full(24, np.nan, np.float32))
    html = report([unknown])
    assert "P(CAC) –" in re.sub(r"\s+", " ", Page(html).text)
    assert "nan" not in re.findall(r">([^<]*)<", DATA_URI.sub("", html))


def test_a_score_without_weights_has_neither_agatston_nor_category(scan, report):
    massless = replace(scan, clinical=replace(scan.clinical, agatston=None))
    page = Page(report([massless, scan]))
    assert page.row("scores", "Agatston score, adjusted and conventional")[2] == "–"
    assert page.row("scores", "Risk category")[2] == "–"


def test_a_scan_kept_without_its_images_keeps_its_numbers(scan, report):
    html = report([replace(scan, image=None, heart=None, cac_map=None, clinical_labels=None)])
    assert not pictures_of(html)
    assert f"{scan.proposed.pseudo_mass_hu_mm3:.1f}" in html


def test_lesions_are_listed_from_the_heaviest_and_counted(draw, report):
    many = draw(lesions=[(k, x) for k in (6, 10, 14) for x in range(35, 95, 6)])
    page = Page(report([many]))
    assert f"The {LESIONS_SHOWN} heaviest of 30 lesions" in page.captions[-1]
    assert len(page.tables["lesions"]) == LESIONS_SHOWN + 1
    masses = [float(cells[2]) for cells in page.tables["lesions"][1:]]
    assert masses == sorted(masses, reverse=True)


def test_times_and_weights_are_told(warned, report):
    text = re.sub(r"\s+", " ", Page(report([warned])).text)
    assert "heart 2.25 s" in text
    assert "demo, SHA-256 0123456789ab…" in text
    assert "Trained on 96 simulated scans" in text
    assert "too_thick slices are thick" in text


def test_eight_scans_stay_below_three_megabytes(draw, report):
    scans = [draw(f"scan {n}", lesions=[(k, 60) for k in (3, 8, 13, 18)], seed=n) for n in range(8)]
    html = report(scans)
    assert len(pictures_of(html)) == 64
    assert len(html) < 3_000_000


def test_a_report_without_scans_is_refused(report):
    with pytest.raises(UsageError, match="at least one scan"):
        report([])


def test_a_factor_that_is_no_positive_number_is_refused(scan, report):
    with pytest.raises(UsageError, match="calibration factor"):
        report([scan], mg_per_hu_mm3=0.0)


def test_a_report_that_cannot_be_written_leaves_nothing(scan, tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match="cannot be written"):
        write_report([scan], tmp_path / "file" / "report.html", title="t")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
