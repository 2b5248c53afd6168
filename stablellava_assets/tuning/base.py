"""The base model: what the tuned model starts from, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.painters.base import Painter
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tuning.alignment import AlignmentCorpus, alignment_texts
from stablellava_assets.tuning.settings import TuningSettings
from stablellava_assets.tuning.tokenizer import catalog_texts

_VERSION = 1
"""Part of the key of every base: raise it when the same corpus and settings train another model than before."""


def prepare_base(
    settings: TuningSettings,
    catalog: Catalog,
    painter: Painter,
    models_folder: Path,
    progress: Callable[[str], None],
) -> Path:
    """The folder of the base model, ``<models_folder>/base-<key>``, built when it is not there.

    The key covers the model's settings, the seed, the vocabulary and every picture and sentence of the alignment corpus,
    so that a base is built once, whatever it is tuned on later. What it is aligned on, and why that makes a fair
    comparison, is told in :mod:`stablellava_assets.tuning.alignment`.

    Raises:
        ValueError: the painter can paint none of the catalog's prompts.
    """
    corpus = AlignmentCorpus(catalog, painter, settings.model.alignment_pictures)
    texts = [*catalog_texts(catalog), *alignment_texts()]
    path = models_folder / f"base-{content_key(_VERSION, settings.model, settings.seed, texts, corpus.key)}"
    models_folder.mkdir(parents=True, exist_ok=True)
    with FileLock(models_folder / f"{path.name}.lock"):
        if not path.exists():
            _build(settings, corpus, texts, path, progress)
    return path


def _build(
    settings: TuningSettings,
    corpus: AlignmentCorpus,
    texts: Sequence[str],
    path: Path,
    progress: Callable[[str], None],
) -> None:
    from stablellava_assets.tuning.checkpoints import save_checkpoint
    from stablellava_assets.tuning.embedded_model import build_model, build_processor
    from stablellava_assets.tuning.tokenizer import build_tokenizer
    from stablellava_assets.tuning.training import train
    from stablellava_assets.tuning.training_set import prepare

    embedded = settings.model
    progress(f"base model: painting {embedded.alignment_pictures} pictures to align it on")
    examples = list(corpus.examples())
    if not examples:
        raise ValueError("base model: the painter could paint none of the catalog's prompts")
    tokenizer = build_tokenizer(texts, embedded.context)
    processor = build_processor(embedded, tokenizer)
    model = build_model(embedded, tokenizer, settings.seed)
    progress(f"base model: aligning {model.num_parameters():,} weights on {len(examples)} conversations")
    training_set = prepare(examples, processor, model.config)
    train(model, processor, training_set, embedded.alignment, settings.seed, progress)
    save_checkpoint(model, processor, path)
