"""Interface of painters: text-to-image functions of prompt, negative prompt and seed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Protocol

from stablellava_assets.endpoint.usage import Forecast
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.tables.pair_rows import ImageRow, PromptToPaint
from stablellava_assets.tables.rows import AnyPlanned

FinishedImages = Callable[[Collection[tuple[str, str]]], Iterator[tuple[str, bytes]]]
"""Yields those of the wanted images that exist, by the id of their row; wanted are ids and keys."""


def nothing_finished(wanted: Collection[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    """The :data:`FinishedImages` of a caller who keeps none."""
    return iter(())


class PainterError(ExplainedError, RuntimeError):
    """A problem of the whole stage, found before the first row. The message names the setting and the remedy."""


class Painter(Protocol):
    """Makes ``images`` rows.

    An image depends only on the row's prompt and seed and on the painter's settings. Made alone or in a batch, it is
    the same on the same class of device.
    """

    name: str
    is_slow: bool
    """Whether an image takes long, as on a GPU, or costs money. Those of fast painters are journaled in groups."""

    def plan(self, specs: Sequence[PromptToPaint]) -> list[AnyPlanned]:
        """Plan one image per prompt."""
        ...

    def paint(self, planned: Sequence[AnyPlanned], finished: FinishedImages = nothing_finished) -> Iterable[ImageRow]:
        """Make ``images`` rows, in any order; a prompt that cannot be painted gives a failed row with the reason.

        ``finished`` are images of the same plan that were made before, for painters that edit them.
        """
        ...

    def forecast(self, planned: Sequence[AnyPlanned]) -> Forecast | None:
        """The expected cost of these rows, without sending anything; None if the painter is free."""
        ...


class FreePainter:
    """Mixin for painters that call no paid endpoint."""

    is_slow = True

    def forecast(self, planned: Sequence[AnyPlanned]) -> None:
        """Always None."""
