"""The named ways of turning HU into a clinical score, as a table; it does not know any image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cacnb.errors import InputError, UsageError

Connectivity = Literal["2d-4", "2d-8", "3d-6", "3d-26"]
SizeKind = Literal["none", "area_mm2", "volume_mm3", "voxels", "rounded_pixels"]
WeightSource = Literal[
    "slice component", "lesion maximum in slice", "lesion 3-D maximum", "no weights"
]
ThicknessRule = Literal["SliceThickness / 3", "spacing / 3", "none"]
Rounding = Literal["none", "lesion to integer", "voxel and slice component to 3 decimals"]

#: Left edges in HU of Agatston weights 1-4 (Agatston 1990, doi 10.1016/0735-1097(90)90282-T).
DENSITY_EDGES_HU = (130.0, 200.0, 300.0, 400.0)

#: floor(maximum / 100), at most 4, written as left edges (3D Slicer's script).
FLOORED_DENSITY_EDGES_HU = (100.0, 200.0, 300.0, 400.0)

#: Slice thickness in mm for which the Agatston score was defined (Agatston 1990).
REFERENCE_THICKNESS_MM = 3.0

#: Where a clinical threshold comes from: the convention, whatever the voltage, or the voltage.
ThresholdRule = Literal["fixed", "kvp"]

#: Threshold in HU by tube voltage in kVp; 147 at 100 kVp as in FQM (doi 10.1002/mp.14912).
THRESHOLD_HU_BY_KVP = {100: 147.0, 120: 130.0, 130: 130.0, 140: 130.0}
USUAL_THRESHOLD_HU = 130.0


@dataclass(frozen=True)
class SmallestSize:
    """The size below which a component is noise: in mm², in mm³, in voxels, or in whole pixels.

    `rounded_pixels` is a limit in mm² that is first rounded to a whole number of pixels.

    Example
    -------
    >>> mm2 = SmallestSize("area_mm2", 1.0, strictly_above=True)
    >>> mm2.admits(np.array([3, 4, 5]), pixel_area_mm2=0.25, voxel_volume_mm3=0.75)
    array([False, False,  True])
    """

    kind: SizeKind = "none"
    limit: float = 0.0
    strictly_above: bool = False

    def admits(
        self, voxels: NDArray[np.integer], *, pixel_area_mm2: float, voxel_volume_mm3: float
    ) -> NDArray[np.bool_]:
        """Whether components of these many voxels count; same shape as `voxels`."""
        if self.kind == "none":
            return np.ones(voxels.shape, dtype=bool)
        unit = {"area_mm2": pixel_area_mm2, "volume_mm3": voxel_volume_mm3}.get(self.kind, 1.0)
        limit = self.limit
        if self.kind == "rounded_pixels":
            limit = float(round(self.limit / pixel_area_mm2))
        size = voxels * unit
        return size > limit if self.strictly_above else size >= limit


@dataclass(frozen=True)
class Convention:
    """One way of clinical scoring, every choice of it as data.

    Parameters
    ----------
    name
        How scripts call it.
    threshold_hu, strictly_above
        A voxel is calcium at ≥ the threshold, or only above it.
    connectivity
        What a component is: in-plane with 4 or 8 neighbours, or 3-D with 6 or 26.
    smallest
        The size below which a component does not count.
    weight_from
        Whose maximum HU chooses the density weight.
    density_edges_hu
        Left edges in HU of weights 1, 2, 3, 4; below the first the weight is 0.
    thickness
        What a slice's area is scaled by.
    rounding
        Where the score is rounded.
    citation
        Where the rule was published or can be read.

    Raises
    ------
    ValueError
        Where a slice component is asked of 3-D lesions: its maximum would be another's.
    """

    name: str
    threshold_hu: float
    strictly_above: bool
    connectivity: Connectivity
    smallest: SmallestSize
    weight_from: WeightSource
    density_edges_hu: tuple[float, ...]
    thickness: ThicknessRule
    rounding: Rounding
    citation: str

    def __post_init__(self) -> None:
        if self.weight_from == "slice component" and self.connectivity.startswith("3d"):
            raise ValueError(
                f"{self.name}: a weight from the slice component needs an in-plane connectivity, "
                f"got {self.connectivity}; use 'lesion maximum in slice'"
            )

    def weight(self, peak_hu: NDArray[np.float64]) -> NDArray[np.intp]:
        """The density weights (0-4) of maxima in HU.

        Example
        -------
        >>> CONVENTIONS["literature"].weight(np.array([129.0, 130.0, 399.0, 400.0]))
        array([0, 1, 3, 4])
        """
        return np.searchsorted(np.asarray(self.density_edges_hu), peak_hu, side="right")

    def thickness_factor(self, spacing_mm: float, slice_thickness_mm: float | None) -> float:
        """What areas are multiplied by; without a SliceThickness the spacing stands in for it."""
        if self.thickness == "none":
            return 1.0
        if self.thickness == "SliceThickness / 3" and slice_thickness_mm is not None:
            return slice_thickness_mm / REFERENCE_THICKNESS_MM
        return spacing_mm / REFERENCE_THICKNESS_MM


#: The convention that a score is made with where none is named.
DEFAULT_CONVENTION = "literature"

_ROWS = (
    Convention(
        name="literature",
        threshold_hu=130.0,
        strictly_above=False,
        connectivity="2d-8",
        smallest=SmallestSize("area_mm2", 1.0, strictly_above=True),
        weight_from="slice component",
        density_edges_hu=DENSITY_EDGES_HU,
        thickness="SliceThickness / 3",
        rounding="none",
        citation="FQM: van Praagh et al., Med Phys 2021, doi 10.1002/mp.14912",
    ),
    Convention(
        name="qurai",
        threshold_hu=130.0,
        strictly_above=False,
        connectivity="3d-26",
        smallest=SmallestSize("volume_mm3", 1.5),
        weight_from="lesion maximum in slice",
        density_edges_hu=DENSITY_EDGES_HU,
        thickness="spacing / 3",
        rounding="none",
        citation="van Velzen et al., Radiology 2020, doi 10.1148/radiol.2020191621; "
        "github.com/qurAI-amsterdam/calcium-scoring",
    ),
    Convention(
        name="ai-cac",
        threshold_hu=130.0,
        strictly_above=False,
        connectivity="3d-6",
        smallest=SmallestSize("voxels", 1.0, strictly_above=True),
        weight_from="lesion 3-D maximum",
        density_edges_hu=DENSITY_EDGES_HU,
        thickness="SliceThickness / 3",
        rounding="lesion to integer",
        citation="Hagopian et al., NEJM AI 2025; github.com/Raffi-Hagopian/AI-CAC",
    ),
    Convention(
        name="deepcac",
        threshold_hu=130.0,
        strictly_above=False,
        connectivity="2d-8",
        smallest=SmallestSize("voxels", 3.0, strictly_above=True),
        weight_from="slice component",
        density_edges_hu=DENSITY_EDGES_HU,
        thickness="spacing / 3",
        rounding="voxel and slice component to 3 decimals",
        citation="Zeleznik et al., Nat Commun 2021, doi 10.1038/s41467-021-20966-2; "
        "github.com/AIM-Harvard/DeepCAC",
    ),
    Convention(
        name="slicer",
        threshold_hu=130.0,
        strictly_above=True,
        connectivity="2d-4",
        smallest=SmallestSize("rounded_pixels", 1.0),
        weight_from="slice component",
        density_edges_hu=FLOORED_DENSITY_EDGES_HU,
        thickness="none",
        rounding="none",
        citation="3D Slicer script, gist.github.com/lassoan/d85be45b7284a3b4e580688fccdb1d02",
    ),
    Convention(
        name="calciumscoring.jl",
        threshold_hu=128.0,
        strictly_above=True,
        connectivity="2d-8",
        smallest=SmallestSize("rounded_pixels", 1.0),
        weight_from="slice component",
        density_edges_hu=(130.0, 199.0, 299.0, 399.0),
        thickness="none",
        rounding="none",
        citation="github.com/MolloiLab/CalciumScoring.jl at 120 kVp, after Gräni et al., "
        "EHJ CVI 2018, doi 10.1093/ehjci/jey019",
    ),
    Convention(
        name="orcascore",
        threshold_hu=130.0,
        strictly_above=True,
        connectivity="3d-6",
        smallest=SmallestSize(),
        weight_from="no weights",
        density_edges_hu=(),
        thickness="none",
        rounding="none",
        citation="orCaScore reference: Wolterink et al., Med Phys 2016, doi 10.1118/1.4945696; "
        "it publishes lesions and their volume but no density weights, so no Agatston score",
    ),
)

#: Every convention by its name, the default first.
CONVENTIONS: dict[str, Convention] = {row.name: row for row in _ROWS}


def convention(name: str = DEFAULT_CONVENTION) -> Convention:
    """The convention of that name; raises UsageError, with the names there are, for any other.

    Example
    -------
    >>> convention("qurai").connectivity
    '3d-26'
    """
    if name not in CONVENTIONS:
        raise UsageError(
            f"no scoring convention is called {name!r}; choose one of {', '.join(CONVENTIONS)}"
        )
    return CONVENTIONS[name]


def threshold_for_kvp(kvp: float) -> float:
    """The usual threshold in HU at a tube voltage: 130, and 147 at 100 kVp.

    An option, never the default: a convention keeps its own threshold unless told otherwise.

    Raises
    ------
    UsageError
        At a voltage without a published threshold here.

    Example
    -------
    >>> threshold_for_kvp(100), threshold_for_kvp(120)
    (147.0, 130.0)
    """
    if round(kvp) not in THRESHOLD_HU_BY_KVP:
        known = ", ".join(str(voltage) for voltage in THRESHOLD_HU_BY_KVP)
        raise UsageError(
            f"no calcium threshold is known here at {kvp:g} kVp (known: {known}); "
            "give the threshold in HU"
        )
    return THRESHOLD_HU_BY_KVP[round(kvp)]


def threshold_by(rule: str, rules: Convention, kvp: float | None) -> float:
    """The threshold in HU of a convention by a named rule.

    `fixed` is the convention's own at every voltage. `kvp` is the voltage's where that is not the
    usual 130 HU (147 at 100 kVp), and else the convention's own.

    Raises
    ------
    UsageError
        For a rule of another name.
    InputError
        `no_threshold` by `kvp`, for a scan that states no voltage or one that no threshold is
        published for.

    Example
    -------
    >>> [threshold_by(rule, convention("literature"), 100.0) for rule in ("fixed", "kvp")]
    [130.0, 147.0]
    """
    if rule not in get_args(ThresholdRule):
        known = " or ".join(get_args(ThresholdRule))
        raise UsageError(f"no threshold rule is called {rule!r}; choose {known}")
    if rule == "fixed":
        return rules.threshold_hu
    if kvp is None or round(kvp) not in THRESHOLD_HU_BY_KVP:
        stated = "states no tube voltage" if kvp is None else f"was made at {kvp:g} kVp"
        known = ", ".join(str(voltage) for voltage in THRESHOLD_HU_BY_KVP)
        raise InputError(
            "no_threshold",
            f"the scan {stated}, one of {known} kVp was wanted for a threshold by voltage: "
            "score it with the convention's own (`--threshold-rule fixed`)",
        )
    by_voltage = threshold_for_kvp(kvp)
    return rules.threshold_hu if by_voltage == USUAL_THRESHOLD_HU else by_voltage
