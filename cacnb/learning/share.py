"""Which rows of a joined batch are one process's own; it knows no process group and no network.

Every process draws the same random numbers for the whole batch of a recipe and keeps those of its
own rows. So the random state is one for all, and a run may go on in another number of processes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Some rows of `total`: those numbered `own` (n,), in order, or all where it is None.

    Example
    -------
    >>> Rows(4, torch.tensor([1, 3])).of(torch.tensor([10, 11, 12, 13])).tolist()
    [11, 13]
    """

    total: int
    own: Tensor | None = None

    def of(self, drawn: Tensor) -> Tensor:
        """The own rows of something that was drawn for all of them, (total, …)."""
        return drawn if self.own is None else drawn[self.own.to(drawn.device)]

    def between(self, first: int, end: int) -> tuple[slice, Rows]:
        """Those of the rows numbered `first` to before `end`, and where they are among one's own.

        Example
        -------
        >>> where, rows = Rows(8, torch.tensor([2, 3, 6, 7])).between(3, 7)
        >>> where, rows.total, rows.own.tolist()
        (slice(1, 3, None), 4, [0, 3])
        """
        if self.own is None:
            return slice(first, end), Rows(end - first)
        begins, ends = torch.searchsorted(self.own, torch.tensor([first, end])).tolist()
        return slice(begins, ends), Rows(end - first, self.own[begins:ends] - first)


@dataclass(frozen=True)
class Share:
    """The `rank`-th of `of` equal parts of every batch; a single process has all of it."""

    rank: int = 0
    of: int = 1

    def block(self, batch: int) -> range:
        """The numbers of the own rows of a joined batch.

        Example
        -------
        >>> Share(1, 2).block(6)
        range(3, 6)
        """
        size = batch // self.of
        return range(self.rank * size, (self.rank + 1) * size)

    def rows(self, own: int, domains: int = 1) -> Rows:
        """The rows of a joined batch of some domains one after another, `own` of each one's own.

        Example
        -------
        >>> Share(1, 2).rows(2, domains=2).own.tolist()
        [2, 3, 6, 7]
        """
        batch = own * self.of
        if self.of == 1:
            return Rows(domains * batch)
        block = self.block(batch)
        numbers = torch.arange(domains * batch).view(domains, batch)
        return Rows(domains * batch, numbers[:, block.start : block.stop].flatten())


#: A single process's.
WHOLE = Share()
