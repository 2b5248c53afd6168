"""Question kinds of benchmarks."""

from __future__ import annotations

from typing import Literal

from stablellava_assets.abilities.ability import QUESTION_KINDS

AskedKind = Literal["what", "yes_no", "either_or", "choice", "open"]
"""choice: several options, asked once per rotation of them; open: answered in free text."""

ASKED_KINDS: tuple[AskedKind, ...] = (*QUESTION_KINDS, "choice", "open")
