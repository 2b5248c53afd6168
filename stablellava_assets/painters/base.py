"""What a painter is: a text-to-image function of prompt, negative prompt and seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from stablellava_assets.endpoint.usage import Forecast
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.tables.pair_rows import ImageRow, PromptToPaint
from stablellava_assets.tables.rows import AnyPlanned


class PainterError(ExplainedError, RuntimeError):
    """A fault of the whole stage, found before the first row: the message names the setting and what to do."""


class Painter(Protocol):
    """Paints ``images`` rows.

    A picture depends on the row's prompt and seed and on the painter's settings alone: painted by itself or in a batch,
    it is the same picture on the same class of device.
    """

    name: str

    def plan(self, specs: Sequence[PromptToPaint]) -> list[AnyPlanned]:
        """One image a prompt."""
        ...

    def paint(self, planned: Sequence[AnyPlanned]) -> Iterable[ImageRow]:
        """Paint ``images`` rows, in any order; what cannot be painted is a failed row with its reason."""
        ...

    def forecast(self, planned: Sequence[AnyPlanned]) -> Forecast | None:
        """What painting these rows would cost, without asking anybody; None of a painter that costs nothing."""
        ...


class PaintsForFree:
    """Mixin for painters that call no paid endpoint."""

    def forecast(self, planned: Sequence[AnyPlanned]) -> None:
        """Nothing."""
