"""The base model, from which the embedded model is tuned and with which it is compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.painters.base import Painter
from stablellava_assets.tables.identity import content_key
from stablellava_assets.text.conversations import ChatMessage
from stablellava_assets.tuning.embedded.alignment import AlignmentCorpus, alignment_texts
from stablellava_assets.tuning.embedded.reading import reading_conversations, reading_texts
from stablellava_assets.tuning.embedded.tokenizer import catalog_texts
from stablellava_assets.tuning.settings import TuningSettings

_VERSION = 4
"""Part of the key of every base. Increase it when the same corpus and settings would train a different model."""


def prepare_base(
    settings: TuningSettings,
    catalog: Catalog,
    painter: Painter,
    models: ModelFolders,
    progress: Callable[[str], None],
) -> Path:
    """The folder of the base model, ``base-<key>`` among the models, trained if it does not exist.

    The key covers the model's settings, the seed, the vocabulary and every image and sentence of the alignment corpus.
    A base is therefore trained once, whatever it is tuned on later. :mod:`stablellava_assets.tuning.embedded.alignment`
    explains what it is trained on, and why the comparison is fair.

    Raises:
        ValueError: the painter can paint none of the catalog's prompts.
    """
    corpus = AlignmentCorpus(catalog, painter, settings.model.base_pictures)
    reading = reading_conversations(catalog, settings.model.base_texts)
    texts = [*catalog_texts(catalog), *alignment_texts(), *reading_texts()]
    path = models.folder / f"base-{content_key(_VERSION, settings.model, settings.seed, texts, reading, corpus.key)}"
    models.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(models.folder / f"{path.name}.lock"):
        if not models.fetched(path.name):
            _build(settings, corpus, reading, texts, path, progress)
    return path


def _build(
    settings: TuningSettings,
    corpus: AlignmentCorpus,
    reading: Sequence[list[ChatMessage]],
    texts: Sequence[str],
    path: Path,
    progress: Callable[[str], None],
) -> None:
    from stablellava_assets.models.checkpoints import save_checkpoint
    from stablellava_assets.tuning.embedded.embedded_model import build_model, build_processor
    from stablellava_assets.tuning.embedded.tokenizer import build_tokenizer
    from stablellava_assets.tuning.embedded.training import train
    from stablellava_assets.tuning.embedded.training_set import prepare, prepare_texts
    from stablellava_assets.tuning.embedded.vision_pretraining import pretrain_vision

    embedded, seed = settings.model, settings.seed
    progress(f"base model: painting {embedded.base_pictures} pictures")
    examples = list(corpus.examples())
    if not examples:
        raise ValueError("base model: the painter could paint none of the catalog's prompts")
    tokenizer = build_tokenizer(texts, embedded.context)
    processor = build_processor(embedded, tokenizer)
    model = build_model(embedded, tokenizer, seed)
    captions = prepare(examples, processor, model.config, embedded.alignment.rows_per_look)
    phrases = [corpus.phrases(image_id) for image_id in dict.fromkeys(example.image_ids[0] for example in examples)]
    progress(f"base model, 1 of 3: the vision tower learns from {len(phrases)} captions")
    pretrain_vision(model, processor, captions.pixels, phrases, embedded.vision, seed, progress)
    progress(f"base model, 2 of 3: the language model reads {len(reading)} texts")
    texts_read = prepare_texts(reading, processor, model.config, embedded.language.rows_per_look)
    train(model, processor, texts_read, embedded.language, seed, progress)
    progress(f"base model, 3 of 3: all {model.num_parameters():,} weights learn to write captions")
    train(model, processor, captions, embedded.alignment, seed, progress)
    save_checkpoint(model, processor, path)
