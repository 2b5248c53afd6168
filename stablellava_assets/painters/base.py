"""Interface of painters: text-to-image functions of prompt, negative prompt and seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from stablellava_assets.endpoint.usage import Forecast
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.tables.pair_rows import ImageRow, PromptToPaint
from stablellava_assets.tables.rows import AnyPlanned


class PainterError(ExplainedError, RuntimeError):
    """A problem of the whole stage, found before the first row. The message names the setting and the remedy."""


class Painter(Protocol):
    """Makes ``images`` rows.

    An image depends only on the row's prompt and seed and on the painter's settings. Made alone or in a batch, it is
    the same on the same class of device.
    """

    name: str

    def plan(self, specs: Sequence[PromptToPaint]) -> list[AnyPlanned]:
        """Plan one image per prompt."""
        ...

    def paint(self, planned: Sequence[AnyPlanned]) -> Iterable[ImageRow]:
        """Make ``images`` rows, in any order; a prompt that cannot be painted gives a failed row with the reason."""
        ...

    def forecast(self, planned: Sequence[AnyPlanned]) -> Forecast | None:
        """The expected cost of these rows, without sending anything; None if the painter is free."""
        ...


class FreePainter:
    """Mixin for painters that call no paid endpoint."""

    def forecast(self, planned: Sequence[AnyPlanned]) -> None:
        """Always None."""
