"""Asks the base and the tuned model questions of kept pairs, for the answers that they get wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path

from stablellava_assets.evaluation.answers.generation import ImageQuestion, answers_of
from stablellava_assets.evaluation.answers.pictures import PublishedPictures
from stablellava_assets.evaluation.kinds import ASKED_KINDS
from stablellava_assets.evaluation.scores.scoring import is_correct
from stablellava_assets.exports.wrong_answers import Exchange, Source, WrongAnswer, can_be_asked
from stablellava_assets.tables.encoded_images import images_of_partitions
from stablellava_assets.tables.identity import derive_seed
from stablellava_assets.tables.schemas import FILTERED_PAIRS, IMAGES
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import columns_of, rows_of
from stablellava_assets.text.conversations import expected_words

_MAX_NEW_TOKENS = 128
"""Longer than any answer that is trained on, so that none is wrong because it was cut off."""


class AskedPair(Exchange):
    """The columns of a kept pair that a model is asked about."""

    question_kind: str
    expected: str | None


@dataclass(frozen=True)
class AskedModel:
    """A model to ask: its name in a row of ``llava_checkpoint``, and its folder or its name on the hub."""

    source: Source
    name: str
    path: str


def sample_of_pairs(store: ParquetStore, partitions: Sequence[Partition], count: int, seed: int) -> list[AskedPair]:
    """Kept pairs whose answers keywords can grade, drawn by a hash of their ids: pairs that are added replace few."""
    return nsmallest(
        count, _gradable(store, partitions), key=lambda pair: derive_seed("preference", seed, pair["pair_id"])
    )


def ask_models(
    store: ParquetStore,
    partitions: Sequence[Partition],
    pairs: Sequence[AskedPair],
    models: Sequence[AskedModel],
    folder: Path,
    batch_size: int,
    chat_template: str | None,
    progress: Callable[[str], None],
) -> dict[str, list[WrongAnswer]]:
    """The wrong answers of models to the questions of kept pairs, by pair id.

    Args:
        store: the tables.
        partitions: of the pairs.
        pairs: from :func:`sample_of_pairs`.
        models: the models, in the order of their answers.
        folder: where images are copied to while a model is asked.
        batch_size: questions per batch.
        chat_template: template for all models.
        progress: receives progress lines.

    Raises:
        InvalidQuestionError: a question cannot be put to a model.
    """
    image_ids = {image_id for pair in pairs for image_id in pair["image_ids"]}
    published = PublishedPictures(images_of_partitions(store, IMAGES, partitions), folder)
    pictures = published.of(image_ids)
    asked = [pair for pair in pairs if all(image_id in pictures for image_id in pair["image_ids"])]
    questions = [_question(pair, [pictures[image_id][0].encoded for image_id in pair["image_ids"]]) for pair in asked]
    names = [f"pair {pair['pair_id']}" for pair in asked]
    wrong: dict[str, list[WrongAnswer]] = {}
    with published.copied(image_ids):
        for model in models if asked else ():
            progress(f"asking {model.source} model {len(asked):,} questions of kept pairs")
            answers = answers_of(model.path, questions, batch_size, _MAX_NEW_TOKENS, progress, names, chat_template)
            for index, text in answers:
                if not _is_right(asked[index], text):
                    made = WrongAnswer(text, model.source, {"author": model.source, "model": model.name})
                    wrong.setdefault(asked[index]["pair_id"], []).append(made)
    return wrong


def _gradable(store: ParquetStore, partitions: Sequence[Partition]) -> Iterator[AskedPair]:
    for partition in partitions:
        for pair in rows_of(AskedPair, store.read_all(FILTERED_PAIRS, [partition], columns_of(AskedPair))):
            if pair["expected"] is not None and pair["question_kind"] in ASKED_KINDS and can_be_asked(pair):
                yield pair


def _question(pair: AskedPair, images: Sequence[bytes | Callable[[], bytes]]) -> ImageQuestion:
    return ImageQuestion(images[0], pair["conversations"][0]["value"], None, tuple(images[1:]))


def _is_right(pair: AskedPair, text: str) -> bool:
    words, kind = expected_words(pair["expected"] or ""), pair["question_kind"]
    # The other things on offer are not in the table, so that an answer counts as right if it names the right one.
    graded_as = "yes_no" if kind == "yes_no" else "what"
    return is_correct(text, words, (), graded_as, groups=[[word] for word in words], in_order=len(words) > 1)
