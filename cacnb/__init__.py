"""cacnb: reproducible coronary calcium scoring on ordinary chest CT. Research use only."""

__version__ = "0.1.0"

#: The sentence that every report, page and command line of cacnb carries.
RESEARCH_ONLY = (
    "Research software: not a medical device, not for diagnosis or treatment of any patient."
)
