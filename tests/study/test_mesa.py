import numpy as np
import pytest

from cacnb.errors import InputError, UsageError
from cacnb.study.mesa import judge_by_mesa, mesa_limit


def test_mesas_limit_is_the_published_sum() -> None:
    """Chung 2008: 0.17 A + 4.89 √A + 0.44 BMI − 10.84, for A = 400 and 30 kg/m²."""
    assert mesa_limit(400.0, 30.0) == pytest.approx(68 + 97.8 + 13.2 - 10.84)


def test_mesas_limit_is_never_below_zero() -> None:
    assert mesa_limit([0.0, 0.5, 4.0], 18.0) == pytest.approx([0.0, 0.6227, 7.54], abs=0.001)
    assert 0.44 * 18 - 10.84 < 0


def test_a_change_is_held_against_the_limit_at_baseline() -> None:
    """100 at baseline and 27 kg/m²: ± 66.94, whichever way it goes."""
    for followup, outside in ((166.9, False), (167.0, True), (33.1, False), (33.0, True)):
        found = judge_by_mesa(100.0, followup, 27.0)
        assert found is not None
        assert found.outside is outside
    assert judge_by_mesa(0.0, 40.0, 27.0) is None


def test_a_height_for_a_body_mass_index_is_refused() -> None:
    for wrong in (1.75, 175.0, np.nan):
        with pytest.raises(UsageError, match="kg/m²"):
            mesa_limit(100.0, wrong)
    with pytest.raises(InputError, match="0 or more"):
        mesa_limit([-1.0], 27.0)
    with pytest.raises(InputError, match="finite"):
        judge_by_mesa(100.0, np.inf, 27.0)
