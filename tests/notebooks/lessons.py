"""Which notebooks there are, in the order of the course; not what is in them."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"

NAMES = (
    "00_a_scan_in_ten_minutes",
    "01_curating_the_data",
    "02_labelling_slices",
    "03_heart_segmentation",
    "04_slice_classification",
    "05_the_calcium_cyclegan",
    "06_inspecting_cac_maps",
    "07_lesions_and_scores",
    "08_does_the_score_repeat",
    "09_what_each_part_buys",
)


def file_of(name: str) -> Path:
    return FOLDER / f"{name}.ipynb"


def following(name: str) -> str:
    """The file that a lesson's last line leads to: the next lesson, after the last the course."""
    place = NAMES.index(name) + 1
    return f"{NAMES[place]}.ipynb" if place < len(NAMES) else "README.md"
