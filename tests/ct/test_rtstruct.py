from pathlib import Path

import numpy as np
import pytest

from cacnb.ct.contours import Plane, area_mm2, fill, mask_of, planimetry_cm3
from cacnb.ct.heart_names import heart_rank
from cacnb.ct.rtstruct import read_structure
from cacnb.ct.volume import Volume
from cacnb.errors import InputError

from .written_structures import ring, write_rtstruct

GRID = Volume(np.zeros((40, 150, 160), np.float32), (3.0, 0.9, 0.8), (-60.0, -70.0, -66.0))
Z = GRID.axis_mm(0)


def egg_rings(heights: np.ndarray, points: int = 80) -> list[tuple[float, np.ndarray]]:
    """Contours of an egg of 45 × 35 mm radius, 90 mm tall, that leans to the left."""
    rings = []
    for z in heights:
        share = 1 - (z / 45.0) ** 2
        if share > 0:
            size = np.sqrt(share)
            rings.append((float(z), ring((3 + z / 6, -2.0), (45 * size, 35 * size), points)))
    return rings


def egg(grid: Volume) -> np.ndarray:
    """The egg's voxels by its equation."""
    z, y, x = (grid.axis_mm(a).reshape([-1 if i == a else 1 for i in range(3)]) for a in range(3))
    return (z / 45) ** 2 + ((y + 2) / 35) ** 2 + ((x - 3 - z / 6) / 45) ** 2 < 1


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def planes(*rings: tuple[float, np.ndarray]) -> list[Plane]:
    return [Plane(z, (points,)) for z, points in rings]


def refusal(path: Path, structure: str | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        read_structure(path, structure)
    return caught.value


def test_a_written_heart_read_back_is_the_heart(tmp_path: Path) -> None:
    write_rtstruct(tmp_path / "rs.dcm", {"Lung_L": [], "Heart": egg_rings(Z)}, frame="1.2.9")
    found = read_structure(tmp_path / "rs.dcm")
    assert found.frame_of_reference == "1.2.9"
    assert dice(mask_of(found.planes, GRID).array, egg(GRID)) > 0.98


def test_the_outline_of_a_mask_read_back_is_the_mask(tmp_path: Path) -> None:
    contourpy = pytest.importorskip("contourpy", reason="it traces the outlines")
    mask = egg(GRID)
    hollow = mask.copy()
    hollow[12:20, 60:80, 70:90] = False
    traced = []
    for index in np.flatnonzero(hollow.any(axis=(1, 2))):
        lines = contourpy.contour_generator(
            GRID.axis_mm(2), GRID.axis_mm(1), hollow[index].astype(float)
        ).lines(0.5)
        traced += [(float(Z[index]), line[:-1]) for line in lines]
    write_rtstruct(tmp_path / "rs.dcm", {"Heart": traced})
    found = mask_of(read_structure(tmp_path / "rs.dcm").planes, GRID).array
    assert dice(found, hollow) > 0.98
    assert not found[15, 65:75, 75:85].any(), "the hole stays one"


@pytest.mark.parametrize(
    ("spacing", "offset"), [((1.0, 0.9, 0.8), 0.0), ((1.5, 0.9, 0.8), 0.7), ((5.0, 1.2, 1.2), 2.0)]
)
def test_contours_between_slices_make_the_same_heart_on_any_slices(
    spacing: tuple[float, float, float], offset: float
) -> None:
    shape = tuple(int(n) for n in np.floor(np.multiply(GRID.shape, GRID.spacing_mm) / spacing))
    grid = Volume(np.zeros(shape, np.float32), spacing, (-60.0 + offset, -70.0, -66.0))
    drawn = planes(*egg_rings(np.arange(-44.5, 45, 4.0)))
    found = mask_of(drawn, grid)
    truth = egg(grid)
    assert dice(found.array, truth) > 0.97
    assert found.array.sum() == pytest.approx(truth.sum(), rel=0.03)


def test_a_contour_stands_for_the_thickness_of_its_slice() -> None:
    """Two contours 3 mm apart are 6 mm of a cylinder, on slices of any thickness."""
    drawn = planes((0.0, ring((0, 0), (30, 30))), (3.0, ring((0, 0), (30, 30))))
    for z_mm in (0.5, 1.0, 1.5):
        grid = Volume(np.zeros((int(40 / z_mm), 100, 100)), (z_mm, 1.0, 1.0), (-12.2, -50, -50))
        found = mask_of(drawn, grid)
        assert found.array.any(axis=(1, 2)).sum() * z_mm == pytest.approx(6.0)
    assert planimetry_cm3(drawn) == pytest.approx(np.pi * 30**2 * 6 / 1000, rel=0.01)


def test_a_hole_is_a_contour_within_a_contour_and_two_parts_stand_side_by_side() -> None:
    outer, hole = ring((0, 0), (40, 30)), ring((5, 0), (10, 10))
    second = ring((55, 0), (8, 8))
    found = fill((outer, hole, second), GRID)
    wanted = fill((outer,), GRID) & ~fill((hole,), GRID) | fill((second,), GRID)
    np.testing.assert_array_equal(found, wanted)
    area = area_mm2(Plane(0.0, (outer, hole, second)))
    assert found.sum() * GRID.pixel_area_mm2 == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize("bridge_y", [0.0, 0.2, -70.0 + 0.9 * 78])
def test_a_keyhole_is_a_hole(bridge_y: float) -> None:
    """One contour runs round, through a channel without width, round the hole and back."""
    angle = np.linspace(0, 2 * np.pi, 60)
    out = np.column_stack([40 * np.cos(angle), 40 * np.sin(angle) + bridge_y])
    back = np.column_stack([15 * np.cos(-angle), 15 * np.sin(-angle) + bridge_y])
    keyhole = np.concatenate([out, back])
    found = fill((keyhole,), GRID)
    np.testing.assert_array_equal(found, fill((out[:-1], back[:-1]), GRID))
    assert not found[int((bridge_y + 70) / 0.9), int(66 / 0.8)]


def test_a_filled_contour_is_what_another_library_fills() -> None:
    path = pytest.importorskip("matplotlib.path", reason="it is the second opinion")
    rng = np.random.default_rng(11)
    x, y = np.meshgrid(GRID.axis_mm(2), GRID.axis_mm(1))
    pixels = np.column_stack([x.ravel(), y.ravel()])
    for corners in (3, 7, 40, 200):
        angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
        radius = rng.uniform(5, 50, corners)
        points = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
        theirs = path.Path(points).contains_points(pixels).reshape(x.shape)
        np.testing.assert_array_equal(fill((points,), GRID), theirs)


def test_a_contour_told_twice_counts_once(tmp_path: Path) -> None:
    rings = egg_rings(Z)
    write_rtstruct(tmp_path / "once.dcm", {"Heart": rings})
    write_rtstruct(tmp_path / "twice.dcm", {"Heart": [*rings, *rings]})
    once, twice = (
        mask_of(read_structure(tmp_path / name).planes, GRID).array
        for name in ("once.dcm", "twice.dcm")
    )
    np.testing.assert_array_equal(once, twice)


def test_missing_contours_in_the_middle_are_refused() -> None:
    rings = [(z, r) for z, r in egg_rings(np.arange(-42.0, 43, 3)) if not -12 < z < 5]
    with pytest.raises(InputError, match="missing") as caught:
        mask_of(planes(*rings), GRID)
    assert caught.value.code == "contour_gap"


def test_contours_on_coronal_planes_are_refused(tmp_path: Path) -> None:
    points = ring((0, 0), (40, 40))
    coronal = [(points[:, 1] + 3.0 * i, points * [1, 0] + [0, i]) for i in range(10)]
    write_rtstruct(tmp_path / "rs.dcm", {"Heart": coronal})
    assert refusal(tmp_path / "rs.dcm").code == "not_axial"


def test_points_and_lines_are_no_heart(tmp_path: Path) -> None:
    write_rtstruct(tmp_path / "rs.dcm", {"Heart": egg_rings(Z)}, kind="OPEN_PLANAR")
    assert refusal(tmp_path / "rs.dcm").code == "no_contours"


@pytest.mark.parametrize(
    "name",
    ["Heart", "heart", "HEART", "Herz", "herz ", "cor", "Coeur", "Cœur", "hart", "Corazón", "cuore",
     "Coração", "Heart_MDA", "Heart_RTOG", "WholeHeart", "OAR Heart", "Heart 2", "heart (auto)",
     "心臓", "心脏", "심장", "Сердце"],
)  # fmt: skip
def test_names_of_the_whole_heart(name: str) -> None:
    assert heart_rank(name) is not None


@pytest.mark.parametrize(
    "name",
    ["A_Heart", "Heart-PTV", "Heart_PRV05", "HeartLAD", "Heart+A_Pulm", "Valve_Heart", "heart_ring",
     "Lung minus Heart", "heart_eval", "Hartmann", "Cord", "Spinal Cor d", "Heart_L", "Atrium",
     "zHeart_opt", "Heart Heart", ""],
)  # fmt: skip
def test_names_of_something_else_than_the_whole_heart(name: str) -> None:
    assert heart_rank(name) is None


def test_the_plainest_of_several_hearts_is_taken(tmp_path: Path) -> None:
    high = egg_rings(Z + 0.0)[:5]
    write_rtstruct(
        tmp_path / "rs.dcm",
        {"Heart_auto": high, "A_Heart": high, "heart": egg_rings(Z), "Heart_PRV": high},
    )
    assert len(read_structure(tmp_path / "rs.dcm").planes) == len(egg_rings(Z))
    assert len(read_structure(tmp_path / "rs.dcm", "heart_AUTO").planes) == 5
    assert len(read_structure(tmp_path / "rs.dcm", "2").planes) == 5


def test_an_empty_heart_beside_a_drawn_one_is_passed_over(tmp_path: Path) -> None:
    write_rtstruct(tmp_path / "rs.dcm", {"Heart": [], "Heart_final": egg_rings(Z)})
    assert len(read_structure(tmp_path / "rs.dcm").planes) == len(egg_rings(Z))
    assert refusal(tmp_path / "rs.dcm", "Heart").code == "no_contours"


def test_two_hearts_are_refused_without_telling_what_people_wrote(tmp_path: Path) -> None:
    rings = egg_rings(Z)
    write_rtstruct(tmp_path / "rs.dcm", {"Heart_1": rings, "Heart_2": rings, "Doe^Jane": rings})
    error = refusal(tmp_path / "rs.dcm")
    assert error.code == "several_structures"
    assert "numbers 1, 2" in error.message
    assert "Doe" not in error.message
    error = refusal(tmp_path / "rs.dcm", "Herz")
    assert (error.code, "Doe" in error.message) == ("no_structure", False)


def test_the_code_of_the_heart_outweighs_its_name(tmp_path: Path) -> None:
    write_rtstruct(
        tmp_path / "rs.dcm", {"Heart": egg_rings(Z)[:4], "OAR_7": egg_rings(Z)},
        code={"OAR_7": ("SCT", "80891009")},
    )  # fmt: skip
    assert len(read_structure(tmp_path / "rs.dcm").planes) == len(egg_rings(Z))


def test_a_plan_without_a_heart_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    write_rtstruct(tmp_path / "rs.dcm", {"PTV": egg_rings(Z)})
    assert refusal(tmp_path / "rs.dcm").code == "no_structure"
    whole = (tmp_path / "rs.dcm").read_bytes()
    (tmp_path / "rs.dcm").write_bytes(whole[: len(whole) // 2])
    assert refusal(tmp_path / "rs.dcm").code in ("undecodable", "no_structure")
    (tmp_path / "rs.dcm").write_bytes(b"no DICOM at all")
    assert refusal(tmp_path / "rs.dcm").code == "undecodable"


def test_the_volume_of_a_real_heart(shared_data: Path) -> None:
    """437 to 440 cm³ by planimetry, and on the slices that it was drawn on."""
    found = read_structure(shared_data / "awkward/rtstruct_heart_dicompyler/rtss.dcm")
    assert len(found.planes) == 33
    assert 437 < planimetry_cm3(found.planes) < 440
    # One slice of this scan is here: its grid goes on through all contours.
    grid = Volume(
        np.zeros((40, 512, 512), np.float32), (3.0, 1.074219, 1.074219),
        (found.planes[0].z_mm - 9.0, -524.0, -275.0),
    )  # fmt: skip
    cm3 = mask_of(found.planes, grid).array.sum() * grid.voxel_volume_mm3 / 1000
    assert 437 < cm3 < 440
