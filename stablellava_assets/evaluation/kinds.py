"""The kinds of questions that benchmarks ask."""

from __future__ import annotations

from typing import Literal

from stablellava_assets.abilities.catalog import QUESTION_KINDS

AskedKind = Literal["what", "yes_no", "either_or", "choice", "open"]
"""choice: several options, asked once for each rotation of them; open: an answer in one's own words."""

ASKED_KINDS: tuple[AskedKind, ...] = (*QUESTION_KINDS, "choice", "open")
