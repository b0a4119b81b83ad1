import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cacnb.simulation.anatomy import REST, Anatomy, pose_heart
from cacnb.simulation.coronaries import ARTERIES, along
from cacnb.simulation.lesions import (
    ARTERY_SHARE,
    BURDENS,
    CONFOUNDERS,
    KVP_FACTOR,
    Lesion,
    deposit,
    draw_lesions,
    hu_mm3_per_mg,
)


def people(burden: str, count: int = 300) -> list[list[Lesion]]:
    return [draw_lesions(Anatomy.draw(seed), BURDENS[burden]) for seed in range(count)]


@given(seed=st.integers(0, 100_000))
@settings(deadline=None)
def test_no_calcium_is_lost_when_a_lesion_is_laid_on_the_heart(seed: int) -> None:
    anatomy = Anatomy.draw(seed)
    lesions = draw_lesions(anatomy, BURDENS["nlst"])
    pieces = deposit(lesions, pose_heart(anatomy, REST))
    for number, lesion in enumerate(lesions):
        laid = [piece.mass_mg for piece in pieces if piece.lesion == number]
        assert sum(laid) == pytest.approx(lesion.mass_mg)
        assert len(laid) == lesion.pieces


def test_a_piece_has_the_spread_of_a_ball_of_its_volume() -> None:
    heart = pose_heart(Anatomy.draw(0), REST)
    lesion = Lesion("LAD", 0.3, 12.0, 400.0, 1, (0.0, 0.0, 0.0))
    (piece,) = deposit([lesion], heart)
    assert lesion.volume_mm3 == pytest.approx(30.0)
    radius = (30.0 * 3 / (4 * np.pi)) ** (1 / 3)
    assert piece.sigma_mm == pytest.approx(radius / 5**0.5)


def test_coronary_calcium_lies_along_its_artery() -> None:
    for seed in range(12):
        anatomy = Anatomy.draw(seed)
        heart = pose_heart(anatomy, REST)
        lesions = draw_lesions(anatomy, BURDENS["nlst"])
        lines = {
            name: np.array([along(heart.arteries[name], s)[0] for s in np.linspace(0, 1, 300)])
            for name in ARTERIES
        }
        for piece in deposit(lesions, heart):
            if piece.place in ARTERIES:
                away = np.linalg.norm(lines[piece.place] - piece.centre, axis=1).min()
                assert away < 0.7 + np.linalg.norm(lesions[piece.lesion].offset_mm)


def test_aortic_and_valve_calcium_lies_off_the_arteries_and_is_not_coronary() -> None:
    heart = pose_heart(Anatomy.draw(0), REST)
    for place in CONFOUNDERS:
        lesion = Lesion(place, 0.4, 9.0, 400.0, 3, (0.0, 0.0, 0.0))
        assert not lesion.is_coronary
        around = heart.mitral_centre if place == "mitral" else heart.aortic_root
        for piece in deposit([lesion], heart):
            assert np.linalg.norm(piece.centre - around) < 75


@pytest.mark.parametrize("burden", ["rtp", "nlst"])
def test_as_many_people_carry_calcium_as_the_population_says(burden: str) -> None:
    carriers = np.mean([any(le.is_coronary for le in person) for person in people(burden)])
    assert carriers == pytest.approx(BURDENS[burden].any_share, abs=0.08)


def test_heavy_smokers_carry_more_calcium_than_breast_cancer_patients() -> None:
    def mean_mass(burden: str) -> float:
        return float(
            np.mean([sum(le.mass_mg for le in p if le.is_coronary) for p in people(burden)])
        )

    assert mean_mass("nlst") > 2 * mean_mass("rtp")


def test_lesions_are_shared_among_the_arteries_as_in_table_3() -> None:
    places = [le.place for person in people("nlst") for le in person if le.is_coronary]
    assert len(places) > 500
    for artery, share in ARTERY_SHARE.items():
        assert places.count(artery) / len(places) == pytest.approx(share, abs=0.06)


def test_every_lesion_has_a_mass_and_a_density_that_calcium_can_have() -> None:
    for person in people("nlst", 100):
        for lesion in person:
            assert 0.3 <= lesion.mass_mg <= 250
            assert 100 <= lesion.concentration_mg_cm3 <= 1000
            assert 1 <= lesion.pieces <= 14


def test_calcium_is_brighter_at_lower_tube_voltage() -> None:
    bright = [hu_mm3_per_mg(kvp) for kvp in sorted(KVP_FACTOR)]
    assert bright == sorted(bright, reverse=True)
    assert hu_mm3_per_mg(110.0) == pytest.approx(1370 * 1.10)
