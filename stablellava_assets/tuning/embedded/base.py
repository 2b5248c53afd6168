"""The base model, from which the embedded model is tuned and with which it is compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.painters.base import Painter
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tuning.embedded.alignment import AlignmentCorpus, alignment_texts
from stablellava_assets.tuning.embedded.continuing import BASE, with_words
from stablellava_assets.tuning.embedded.reading import reading_conversations, reading_texts
from stablellava_assets.tuning.embedded.shipped import load_weights, shipped_weights
from stablellava_assets.tuning.embedded.tokenizer import catalog_texts, vocabulary_of
from stablellava_assets.tuning.settings import TuningSettings

if TYPE_CHECKING:
    from transformers import LlavaProcessor, PreTrainedModel

_VERSION = 9
"""Part of the key of every base. Increase it when the same corpus and settings would train a different model."""
_SAMPLED = 130
"""Sentences that are part of the key; what they are drawn from is part of it for all."""
_EXAM = 390
"""Images, seen in no training, about which a base is examined."""


def prepare_base(
    settings: TuningSettings,
    catalog: Catalog,
    painter: Painter,
    models: ModelFolders,
    progress: Callable[[str], None],
) -> Path:
    """The folder of the base model, ``base-<key>`` among the models: the one that comes with the package if it has that
    key, otherwise trained if it does not exist.

    A base is therefore made once, whatever it is tuned on later. :mod:`stablellava_assets.tuning.embedded.alignment`
    explains what it is trained on, and why the comparison is fair. Of abilities that a user added it knows the words
    alone: an ability more costs no training of a base.

    Raises:
        ValueError: the painter can paint none of the catalog's prompts.
    """
    path = _base_of(settings, catalog.without_own, painter, models, progress)
    return with_words(path, catalog_texts(catalog.own), models.folder, BASE) if catalog.own else path


def _base_of(
    settings: TuningSettings, catalog: Catalog, painter: Painter, models: ModelFolders, progress: Callable[[str], None]
) -> Path:
    recipe = BaseRecipe(settings, catalog, painter)
    path = models.folder / f"{BASE}{recipe.key}"
    models.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(models.folder / f"{path.name}.lock"):
        if not models.fetched(path.name):
            from stablellava_assets.models.checkpoints import save_checkpoint

            save_checkpoint(*(recipe.shipped(progress) or recipe.trained(progress)), path)
    return path


class BaseRecipe:
    """What a base is made from: the model's settings and the seed, the catalog's words, and a corpus of images."""

    def __init__(self, settings: TuningSettings, catalog: Catalog, painter: Painter) -> None:
        self._settings, self._catalog, self._painter = settings, catalog, painter
        self._corpus = AlignmentCorpus(catalog, painter, settings.model.base_pictures)
        self._texts = [*catalog_texts(catalog), *alignment_texts(), *reading_texts()]

    @property
    def key(self) -> str:
        """Hash of everything that determines the base."""
        reading = reading_conversations(self._catalog, min(self._settings.model.base_texts, _SAMPLED))
        settings = self._settings
        return content_key(
            _VERSION, settings.model, settings.seed, vocabulary_of(self._texts), reading, self._corpus.key
        )

    def shipped(self, progress: Callable[[str], None]) -> tuple[PreTrainedModel, LlavaProcessor] | None:
        """The base that comes with the package; None if that is another one."""
        weights = shipped_weights(self.key)
        if weights is None:
            return None
        progress("base model: the one that comes with the package")
        model, processor = self._untrained()
        load_weights(model, weights)
        return model, processor

    def trained(self, progress: Callable[[str], None]) -> tuple[PreTrainedModel, LlavaProcessor]:
        """A base, trained from scratch.

        Raises:
            ValueError: the painter can paint none of the catalog's prompts.
        """
        from stablellava_assets.tuning.embedded.training import train
        from stablellava_assets.tuning.embedded.training_set import as_seen, prepare, prepare_texts
        from stablellava_assets.tuning.embedded.vision_pretraining import pretrain_vision

        embedded, seed = self._settings.model, self._settings.seed
        progress(f"base model: painting {embedded.base_pictures} pictures")
        model, processor = self._untrained()
        examples = list(self._corpus.examples(as_seen(processor)))
        if not examples:
            raise ValueError("base model: the painter could paint none of the catalog's prompts")
        captions = prepare(examples, processor, model.config, embedded.alignment.rows_per_look)
        phrases = [self._corpus.phrases(image_id) for image_id in captions.image_ids]
        progress(f"base model, 1 of 3: the vision tower learns from {len(phrases)} captions")
        pretrain_vision(model, processor, captions.pixels, phrases, embedded.vision, seed, progress)
        progress(f"base model, 2 of 3: the language model reads {embedded.base_texts} texts")
        reading = reading_conversations(self._catalog, embedded.base_texts)
        texts = prepare_texts(reading, processor, model.config, embedded.language.rows_per_look)
        train(model, processor, texts, embedded.language, seed, progress)
        progress(f"base model, 3 of 3: all {model.num_parameters():,} weights learn to write captions")
        repeated = prepare_texts(
            reading[: embedded.repeated_texts], processor, model.config, embedded.alignment.rows_per_look
        )
        train(model, processor, captions.with_texts(repeated), embedded.alignment, seed, progress)
        return model, processor

    def examined(self, model: PreTrainedModel, processor: LlavaProcessor) -> float:
        """The share of words that a base says right, about images of the same kind that no base was trained on."""
        from stablellava_assets.tuning.embedded.exam import share_said_right
        from stablellava_assets.tuning.embedded.training_set import as_seen, prepare

        held_out = AlignmentCorpus(self._catalog, self._painter, _EXAM, self._settings.model.base_pictures)
        examples = list(held_out.examples(as_seen(processor)))
        rows = prepare(examples, processor, model.config, self._settings.model.alignment.rows_per_look)
        return share_said_right(model, processor, rows)

    def _untrained(self) -> tuple[PreTrainedModel, LlavaProcessor]:
        from stablellava_assets.tuning.embedded.embedded_model import build_model, build_processor
        from stablellava_assets.tuning.embedded.tokenizer import build_tokenizer

        tokenizer = build_tokenizer(self._texts, self._settings.model.context)
        model = build_model(self._settings.model, tokenizer, self._settings.seed)
        return model, build_processor(self._settings.model, tokenizer)
