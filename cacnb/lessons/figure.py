"""A chart as notebooks show it: live in JupyterLab, a drawing with a text elsewhere; no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from altair.typing import ChartType

from cacnb.export.chart_files import chart_svg, numbers_behind

#: What JupyterLab draws itself, with tooltips, without a network.
VEGA_LITE = "application/vnd.vegalite.v6+json"


@dataclass(frozen=True, eq=False)
class Figure:
    """A chart and what it says in a sentence, for those who hear it.

    Parameters
    ----------
    chart
        Drawn from one table.
    alt
        One or two sentences: what is on the axes, what is seen; *simulated* where it is.
    """

    chart: ChartType
    alt: str

    @property
    def numbers(self) -> pd.DataFrame:
        """The table behind the chart, one row a mark."""
        return numbers_behind(self.chart)

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        del include, exclude
        svg = chart_svg(self.chart)
        data = {VEGA_LITE: self.chart.to_dict(), "image/svg+xml": svg, "text/plain": self.alt}
        return data, {"image/svg+xml": {"alt": self.alt}}
