"""The codes by which archives know coronary calcium and its scores; it does not know any scan.

Concepts that DICOM or SNOMED CT has are used as PS3.16 lists them. What no scheme has stands under
the private scheme 99CACNB (PS3.16, 8.2): the pseudo-mass, the adjusted Agatston score (which must
not be taken for the conventional one), the risk category and the convention's name.
"""

from __future__ import annotations

from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

SCHEME = "99CACNB"


def own(value: str, meaning: str) -> CodedConcept:
    """A concept of the private scheme; its value has at most 16, its meaning 64 characters."""
    return CodedConcept(value=value, scheme_designator=SCHEME, meaning=meaning)


def scheme_identification() -> Dataset:
    """An item of CodingSchemeIdentificationSequence that says whose scheme 99CACNB is (C.12.1)."""
    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeName = "cacnb: reproducible coronary calcium scoring, research only"
    item.CodingSchemeResponsibleOrganization = "cacnb"
    return item


#: What calcium is (PS3.16 CID 7150; SNOMED CT) and where it lies without a named artery (CID 3015).
CATEGORY = codes.CID7150.MorphologicallyAbnormalStructure
CALCIFICATION = codes.SCT.PathologicCalcification
CORONARY = codes.SCT.CoronaryArtery

#: The arteries that lesions are named by (SNOMED CT, PS3.16 CID 3015).
ARTERIES = {
    "LAD": codes.CID3015.LeftAnteriorDescendingCoronaryArtery,
    "LCX": codes.CID3015.CircumflexCoronaryArtery,
    "RCA": codes.CID3015.RightCoronaryArtery,
}
#: A lesion that is named by none of them.
UNNAMED = "unnamed"

#: Scores (PS3.16 CID 6142 "Calculated Value") and what they are calculated by (CID 6140).
AGATSTON = codes.SCT.CoronaryArteryCalciumScore
VOLUME = codes.DCM.VolumeOfVascularCalcification
MASS = codes.DCM.MassOfVascularCalcification
AGATSTON_METHOD = codes.DCM.AgatstonScoringMethod
ADJUSTED_AGATSTON = own("agatston_adj", "Adjusted Agatston score")
PSEUDO_MASS = own("pseudo_mass", "Calcium pseudo-mass")
LESIONS = codes.DCM.NumberOfCalcifications
ATTENUATION = codes.DCM.AttenuationCoefficient
MAXIMUM = codes.SCT.Maximum

NO_UNITS = codes.UCUM.NoUnits
MM3 = codes.UCUM.CubicMillimeter
HU = codes.UCUM.HounsfieldUnit
MG = CodedConcept(value="mg", scheme_designator="UCUM", meaning="milligram")
HU_MM3 = CodedConcept(
    value="[hnsf'U].mm3", scheme_designator="UCUM", meaning="Hounsfield unit cubic millimeter"
)

#: Methods: what a threshold counts, and what the CAC map holds.
MAP_METHOD = own("cac_map", "CAC map, without a threshold")
CONVENTION = own("convention", "Convention of the clinical calcium score")
RISK_CATEGORY = own("risk_category", "Cardiovascular risk category of the score")
RISK_CATEGORIES = {
    "I": own("risk_I", "I: 0 to 10"),
    "II": own("risk_II", "II: above 10 to 100"),
    "III": own("risk_III", "III: above 100 to 400"),
    "IV": own("risk_IV", "IV: above 400"),
}
#: What a value of the exported map is.
MAP_VALUE = own("cac_map_hu", "Attenuation added by coronary calcium")
