"""Tuning that goes on from a checkpoint, for an ability that was added after it was tuned.

It is a minute's work: the checkpoint gets the words that it lacks, and learns from the pairs of the new ability and as
many others, which keep it from forgetting.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

from stablellava_assets.models.checkpoints import load_checkpoint, save_checkpoint
from stablellava_assets.tables.identity import content_key, derive_seed, ranked
from stablellava_assets.tuning.settings import TuningSettings

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

PASSES = 3.0
"""Passes over the pairs, in relation to those of the whole tuning: they are few."""
_TOWER_RATE = 0.2
"""Least factor on the learning rates for the vision tower, which has never seen what the new ability shows."""

BASE, START = "base-", "start-"
"""What the names of models begin with that whole tuning, and tuning for one ability, starts from."""


class _AboutImages(TypedDict):
    image_ids: list[str]


PairT = TypeVar("PairT", bound=_AboutImages)


def continued_settings(settings: TuningSettings) -> TuningSettings:
    """The settings with more passes, and a vision tower that learns as well."""
    tower_rate = max(settings.stage.tower_rate, _TOWER_RATE)
    stage = settings.stage.model_copy(update={"passes": settings.stage.passes * PASSES, "tower_rate": tower_rate})
    return settings.model_copy(update={"stage": stage})


def rehearsed(others: Sequence[PairT], count: int) -> list[PairT]:
    """About ``count`` of the other pairs: all those of some images, which are learned together.

    The choice depends on the images alone, so that the same pairs are taken as long as they exist.
    """
    by_image: dict[str, list[PairT]] = {}
    for pair in others:
        by_image.setdefault(pair["image_ids"][0], []).append(pair)
    taken: list[PairT] = []
    for image_id in ranked(list(by_image), "rehearsed"):
        if len(taken) >= count:
            break
        taken += by_image[image_id]
    return taken


def is_start(named: str) -> bool:
    """Whether a model in a row is what tuning for one ability started from."""
    return Path(named).name.startswith(START)


def with_words(checkpoint: Path, texts: Iterable[str], folder: Path, prefix: str = START) -> Path:
    """The folder of a copy of ``checkpoint``, in ``folder``, that has a token for every word of ``texts``; its name
    begins with ``prefix``.

    Tokens it had keep their ids and weights. Those of new words get weights that are distributed as the others' are.
    """
    wanted = list(texts)
    destination = folder / f"{prefix}{content_key('words', checkpoint.name, wanted)}"
    if not destination.exists():
        model, processor = load_checkpoint(checkpoint)
        words = _missing_words(processor.tokenizer, wanted)
        if words:
            _add(processor.tokenizer, words)
            known = model.get_input_embeddings().weight.detach()
            drawn = _drawn_like(known, len(words), derive_seed(destination.name))
            model.resize_token_embeddings(len(processor.tokenizer), mean_resizing=False)
            model.get_input_embeddings().weight.data[-len(words) :] = drawn
        save_checkpoint(model, processor, destination)
    return destination


def _missing_words(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> list[str]:
    split, known = tokenizer.backend_tokenizer.pre_tokenizer, tokenizer.get_vocab()
    return sorted({word for text in texts for word, _ in split.pre_tokenize_str(text)} - known.keys())


def _add(tokenizer: PreTrainedTokenizerFast, words: Sequence[str]) -> None:
    """Give words the ids that follow the known ones."""
    from tokenizers import Tokenizer

    described = json.loads(tokenizer.backend_tokenizer.to_str())
    known = len(tokenizer)
    described["model"]["vocab"] |= {word: known + index for index, word in enumerate(words)}
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(described))


def _drawn_like(weights: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    import torch

    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, weights.shape[1], generator=generator).to(weights)
    return weights.mean(0) + drawn * weights.std(0)
