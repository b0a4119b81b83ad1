"""Studies as notebooks and commands see them; nothing is trained or scored here."""

from cacnb.studies.opened import Study, open_study

__all__ = ["Study", "open_study"]
