"""What a cell's result may be, lesson by lesson: simulated, over the demo study and other seeds.

Each range spans what the lessons' functions gave for studies of 12 pairs of seeds 500 (the demo's),
9000, 9100 and 9200, and about a tenth of that span on either side; `python -m
tests.notebooks.measure` prints it again. What no seed moves has a range of its own: an equality to
the rounding, or a scene that is always the same. Four seeds catch what breaks, not a small drift.
"""

Range = tuple[float, float]

#: The moving lesion at 3 mm and 15 HU of noise.
_MOVING = "lesion.scores.query('thickness_mm == 3 and noise_hu == 15')"

_EQUAL = (0.9999, 1.0001)

#: By lesson: an expression in its kernel, and the least and the most that it may give.
RANGES: dict[str, dict[str, Range]] = {
    "00_a_scan_in_ten_minutes": {
        "pair.scores['relative difference'].iloc[0]": (0.78, 2.0),
        "pair.scores['relative difference'].iloc[1]": (0.05, 0.73),
        "repeat_beside_paper(study).iloc[0, 2]": (0.67, 1.13),
        "repeat_beside_paper(study).iloc[1, 2]": (0.03, 0.76),
        f"{_MOVING}.query('speed_mm_s == 0')['agatston'].iloc[0]": (100.0, 110.0),
        f"{_MOVING}.query('speed_mm_s == 80')['agatston'].iloc[0]": (0.0, 0.0),
        f"{_MOVING}['whole_mass_mg'].min()": (19.4, 20.0),
        f"{_MOVING}['whole_mass_mg'].max()": (20.0, 20.6),
    },
    "01_curating_the_data": {
        "(found['verdict'] == 'usable').sum()": (24, 24),
        "(found['verdict'] == 'refused').sum()": (0, 0),
        "split.scans['scans'].sum()": (24, 24),
        "split.scans['share of patients'].max()": (0.66, 0.68),
    },
    "02_labelling_slices": {
        "study.labels['contains_cac'].mean()": (0.001, 0.038),
        "two_readers(readings)['κ'].iloc[0]": (0.79, 0.92),
        "two_readers(readings)['slices that differ'].iloc[0]": (1, 13),
    },
    "03_heart_segmentation": {
        "agreement.numbers.query(\"key == 'dice'\")['value'].median()": (0.93, 0.96),
        "agreement.numbers.query(\"key == 'surface_mm'\")['value'].median()": (1.5, 2.4),
        "agreement.numbers.query(\"key == 'hausdorff_mm'\")['value'].median()": (6.0, 10.0),
        "training.wait(300).state == 'finished'": (1, 1),
    },
    "04_slice_classification": {
        "per_slice.iloc[0, 0]": (0.94, 1.0),
        "per_slice.iloc[1, 0]": (0.17, 0.71),
        "per_slice.iloc[2, 0]": (0.0, 0.035),
        "training.wait(300).state == 'finished'": (1, 1),
    },
    "05_the_calcium_cyclegan": {
        "sums.numbers[['calcium_hu_mm3', 'map_hu_mm3']].corr().iloc[0, 1]": (0.40, 1.0),
        "sums.numbers['map_hu_mm3'].sum() / sums.numbers['calcium_hu_mm3'].sum()": (0.71, 1.39),
        "float(terms.iloc[0, -1])": (14.0, 66.0),
        "float(terms.iloc[1, -1])": (100.0, 100.0),
        "training.wait(300).state == 'finished'": (1, 1),
    },
    "06_inspecting_cac_maps": {
        "steps.table['left_hu_mm3'].iloc[-1] / scan.scores.iloc[0, 1]": _EQUAL,
        "steps.table['left_hu_mm3'].iloc[-1] / steps.table['left_hu_mm3'].iloc[0]": (0.27, 0.79),
        "by_paper.table['left_hu_mm3'].iloc[3] / steps.table['left_hu_mm3'].iloc[3]": (0.26, 0.98),
        "(without_calcium(study).iloc[:, 1] > 0).mean()": (0.03, 0.20),
    },
    "07_lesions_and_scores": {
        "clinical.agatston / scan.scores.loc['clinical', 'Agatston score']": _EQUAL,
        "adjusted.agatston / scan.scores.loc['proposed', 'Agatston score']": _EQUAL,
        "proposed.pseudo_mass_hu_mm3 / scan.lesions['pseudo_mass_hu_mm3'].sum()": _EQUAL,
        "len(below)": (1, 8),
        "proposed.mass_mg / true[true['scan'] == scan.name]['mass_mg'].sum()": (0.39, 2.6),
        "conventions_beside(study)['agatston'].max()"
        " / conventions_beside(study)['agatston'].min()": (1.0, 1.36),
    },
    "08_does_the_score_repeat": {
        "float(differences_beside_paper(study).iloc[0, 1])": (0.79, 1.17),
        "float(differences_beside_paper(study).iloc[-1, 1])": (0.71, 1.55),
        "float(icc_beside_paper(study).iloc[0, 0])": (0.44, 0.87),
        "float(categories_beside_paper(study).iloc[0, 1])": (0.28, 0.85),
        "change.probability": (0.30, 0.50),
    },
    "09_what_each_part_buys": {
        "switched.table.loc['neither'].sum() / switched.table.loc['all parts'].sum()": (1.07, 2.13),
        "switched.table.loc['no slice classification'].iloc[1]"
        " / switched.table.loc['all parts'].iloc[1]": (1.14, 1.63),
        "ablation_beside_paper().iloc[1, 3] - ablation_beside_paper().iloc[0, 3]": (0.2, 0.5),
    },
}
