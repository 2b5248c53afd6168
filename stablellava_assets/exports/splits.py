"""Assigns pairs to splits by a hash of their prompts, so that no image is in two splits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from stablellava_assets.abilities.prompt_format import normalized_prompt
from stablellava_assets.exports.selection import Pair, SharedColumns
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.tables.identity import derive_seed

TRAIN = "train"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class SplitError(ExplainedError, ValueError):
    """Invalid fractions; the message names the one at fault."""


@dataclass(frozen=True)
class Splits:
    """Fractions of the prompts by split; the rest is ``train``.

    A prompt keeps its split when pairs are added, because only its hash decides. Pairs about one image, and about
    several images of one prompt, are in the same split. So are all pairs that an image shared by some of them joins:
    the first of their prompts in alphabetical order decides.
    """

    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every split, ``train`` first."""
        return [TRAIN, *self.shares]

    def together(self, pairs: Iterable[SharedColumns]) -> dict[str, str]:
        """The prompts that decide about pairs whose images other pairs share, by their own prompts."""
        leader: dict[str, str] = {}

        def leading(text: str) -> str:
            while (other := leader.get(text, text)) != text:
                text = other
            return text

        owner: dict[str, str] = {}
        for pair in pairs:
            text = _deciding(pair["prompt"], pair["further_prompts"])
            for image_id in pair["image_ids"]:
                first, last = sorted((leading(text), leading(owner.setdefault(image_id, text))))
                leader[last] = first
        return {text: leading(text) for text in leader}

    def of(self, pair: Pair, together: Mapping[str, str] = MappingProxyType({})) -> str:
        """The split of a pair; ``together`` is what :meth:`together` found about all of them."""
        text = _deciding(pair.row["prompt"], pair.row.get("further_prompts"))
        drawn = derive_seed("split", together.get(text, text)) / 2**63
        for name, share in self.shares.items():
            drawn -= share
            if drawn < 0:
                return name
        return TRAIN


def _deciding(prompt: str, further: Sequence[str] | None) -> str:
    """The normalized prompts of a pair, in any order."""
    return "\n".join(sorted(map(normalized_prompt, [prompt, *(further or ())])))


def read_splits(written: Sequence[str]) -> Splits:
    """Parse splits such as ``validation=0.05``, one per entry.

    Raises:
        SplitError: an entry is not ``name=share``, repeats a name, or leaves nothing to ``train``.
    """
    shares: dict[str, float] = {}
    for entry in written:
        name, _, share = entry.partition("=")
        try:
            value = float(share)
        except ValueError:
            value = 0.0
        if not _NAME.fullmatch(name) or name in shares or name == TRAIN or not 0 < value < 1:
            raise SplitError(
                f"split {entry!r}: write name=share, as in validation=0.05: a name of its own other than {TRAIN}, in "
                "lower case, and a share between 0 and 1"
            )
        shares[name] = value
    if sum(shares.values()) >= 1:
        raise SplitError(f"the splits {', '.join(written)} leave nothing to {TRAIN}")
    return Splits(shares)
