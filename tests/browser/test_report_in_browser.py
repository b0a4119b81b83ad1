from pathlib import Path

import numpy as np
import pytest

from cacnb.ct.verdict import Reason
from cacnb.ct.volume import Volume
from cacnb.export.report import write_report
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import convention
from cacnb.scoring.proposed import score_map
from cacnb.scoring.scored_scan import ScoredScan

pytestmark = pytest.mark.browser

WEIGHTS = {"name": "demo", "sha256": "ab" * 32, "trained_on": "96 simulated scans"}
SECONDS = {"read": 0.5, "heart": 2.0, "slices": 1.0, "map": 1.0, "scores": 0.5, "total": 5.0}


def a_scan(name, calcium_hu):
    shape = (12, 100, 110)
    z, y, x = np.indices(shape)
    heart = ((z - 6) / 5) ** 2 + ((y - 50) / 36) ** 2 + ((x - 55) / 42) ** 2 < 1
    hu = np.where(heart, 40.0, -850.0) + np.random.default_rng(0).normal(0, 15, shape)
    calcium = np.zeros(shape)
    calcium[5:8, 48:52, 40:44] = calcium_hu
    image = Volume(np.rint(hu + calcium).astype(np.float32), (1.5, 1.2, 1.2))
    cac_map = image.with_array(calcium.astype(np.float32))
    clinical = score_clinically(image, image.with_array(heart), convention("literature"))
    return ScoredScan(
        path=Path("scans") / f"{name}.nii.gz",
        series_uid=None,
        reasons=(),
        seconds=SECONDS,
        weights=WEIGHTS,
        image=image,
        heart=image.with_array(heart),
        probability_of_cac=np.full(shape[0], 0.5, np.float32),
        cac_map=cac_map,
        proposed=score_map(cac_map, image),
        clinical=clinical,
        clinical_labels=image.with_array(clinical.lesion_labels.array > 0),
        name=name,
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    reason = Reason("localizer", "a <script>document.title = 'taken'</script> and 2 slices")
    refused = ScoredScan(Path("x" * 150), None, (reason,), {}, WEIGHTS, name="long-" * 40)
    scans = [a_scan("first", 200.0), a_scan("second", 150.0), a_scan("empty", 0.0), refused]
    write_report(
        scans,
        path,
        title="Scan and rescan",
        simulated=True,
        truth={"first": 20.0, "second": 20.0},
        pairs=[("first", "second"), ("empty", refused.name)],
    )
    return path


@pytest.fixture
def opened(open_page, report):
    return open_page(report)


def test_the_report_opens_without_the_network_and_without_complaint(opened, report):
    assert opened.asked[0] == report.as_uri()
    assert all(url.startswith("data:image/png") for url in opened.asked[1:])
    assert opened.said == []
    assert opened.title() == "Scan and rescan (simulated)"


def test_every_picture_is_shown_and_described(opened):
    pictures = opened.eval_on_selector_all(
        "img", "all => all.map(i => [i.complete && i.naturalWidth, i.alt, i.clientWidth])"
    )
    assert len(pictures) == 6
    assert all(width > 0 and len(alt) > 40 and shown > 600 for width, alt, shown in pictures)


@pytest.mark.parametrize("width", [1280, 1024, 400])
def test_the_page_needs_no_sideways_scrolling(opened, width):
    opened.set_viewport_size({"width": width, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_a_table_fits_a_laptop(opened):
    opened.set_viewport_size({"width": 1024, "height": 800})
    wide = opened.eval_on_selector_all(
        ".scroll", "all => all.filter(e => e.scrollWidth > e.clientWidth).length"
    )
    assert wide == 0


def test_text_stands_out_from_its_ground(opened, faint_text):
    assert faint_text(opened) == []


def test_every_link_leads_to_a_place_on_the_page(opened):
    links = opened.eval_on_selector_all("a", "all => all.map(a => a.getAttribute('href'))")
    assert links
    assert all(link.startswith("#") and opened.query_selector(link) for link in links)


def test_the_whole_hash_of_the_weights_can_be_opened(opened):
    hidden = opened.locator("details code", has_text="ab" * 32).first
    assert not hidden.is_visible()
    opened.locator("summary").first.click()
    assert hidden.is_visible()
