"""What a row of the tables about models is: benchmark items, checkpoints, answers and scores. See ``pair_rows.py``."""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict

from stablellava_assets.tables.pair_rows import Blamed, EncodedImage, FilledIn, Keyed


class ItemColumns(FilledIn):
    """What a benchmark item asks, and what is right."""

    benchmark: str
    ability: str
    question_kind: str
    question: str
    options: list[str]
    accepted: list[str]
    refused: list[str]


class BenchmarkItem(ItemColumns, Keyed):
    """A row of ``ability_benchmark``."""

    item_id: str
    prompt: str | None
    image: EncodedImage | None
    perceptual_hash: str | None
    seed: int | None


class ItemToAsk(TypedDict):
    """What a model is asked about an item that was made; ``max_new_tokens`` where the item has a limit of its own."""

    item_id: str
    benchmark: str
    ability: str
    question_kind: str
    question: str
    options: list[str]
    accepted: list[str]
    refused: list[str]
    image: EncodedImage
    max_new_tokens: NotRequired[int]


class LossPoint(TypedDict):
    """The training loss at a step."""

    step: int
    loss: float


class Checkpoint(TypedDict):
    """A row of ``llava_checkpoint``."""

    checkpoint_id: str
    path: str
    base_path: str
    model: str
    pairs: int
    images: int
    parameters: int
    settings: str
    loss_curve: list[LossPoint]
    seconds: float
    created_at: datetime
    run_id: str
    pairs_key: str | None


class CheckpointFolders(TypedDict):
    """Where a tuned model and its base lie."""

    checkpoint_id: str
    path: str
    base_path: str


class AnswerColumns(FilledIn):
    """What is known of an answer before the model is asked."""

    checkpoint_id: str
    model: str
    benchmark: str
    ability: str
    item_id: str
    question_kind: str
    question: str
    accepted: list[str]
    rotation: int | None
    options: list[str] | None
    refused: list[str] | None
    picture: str | None


class AbilityAnswer(AnswerColumns, Keyed):
    """A row of ``ability_answers``."""

    answer_id: str
    answer: str
    correct: bool


class AnswerJudgement(Keyed, Blamed):
    """A row of ``answer_judgements``."""

    judgement_id: str
    checkpoint_id: str
    answer_id: str
    answered_by: str
    benchmark: str
    item_id: str
    question_kind: str
    grade: float | None
    correct: bool | None
    by_keywords: bool
    explanation: str | None
    prompt_version: str
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    request_id: str | None


class PairedDifference(TypedDict):
    """How a tuned model's answers differ from its base's."""

    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p_value: float | None


class ScoreFigures(TypedDict):
    """What is reported beside accuracy."""

    precision: float | None
    recall: float | None
    f1: float | None
    yes_ratio: float | None
    undecided: int | None
    mean_grade: float | None


class ComparedScore(PairedDifference, ScoreFigures):
    """A row of ``ability_scores`` as long as its p-value is its own."""

    score_id: str
    checkpoint_id: str
    model: str
    benchmark: str
    ability: str
    question_kind: str
    n: int
    correct: int
    accuracy: float
    interval_low: float
    interval_high: float
    unscored: int | None


class JudgedScore(ComparedScore):
    """A row of ``ability_scores`` that is not published yet."""

    p_holm: float | None
    verdict: str | None


class AbilityScore(JudgedScore):
    """A row of ``ability_scores``."""

    run_id: str
