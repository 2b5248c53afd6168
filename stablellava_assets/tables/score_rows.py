"""Types of rows in the tables about models: benchmark items, checkpoints, answers and scores. See ``pair_rows.py``."""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict

from stablellava_assets.tables.pair_rows import Blamed, EncodedImage, FilledIn, Keyed
from stablellava_assets.text.conversations import Turn


class SeveralImages(TypedDict):
    """What only questions about several images have."""

    accepted_groups: NotRequired[list[list[str]] | None]
    in_order: NotRequired[bool | None]
    history: NotRequired[list[Turn] | None]


class ItemQuestion(SeveralImages):
    """Question and right answers of a benchmark item."""

    benchmark: str
    ability: str
    question_kind: str
    question: str
    options: list[str]
    accepted: list[str]
    refused: list[str]


class ItemColumns(ItemQuestion, FilledIn):
    """The columns of a benchmark item that its image does not determine."""


class BenchmarkItem(ItemColumns, Keyed):
    """A row of ``ability_benchmark``."""

    item_id: str
    prompt: str | None
    image: EncodedImage | None
    sha256: str | None
    perceptual_hash: str | None
    seed: int | None
    further_images: NotRequired[list[EncodedImage] | None]
    further_sha256: NotRequired[list[str] | None]
    further_perceptual_hashes: NotRequired[list[str] | None]


class ItemToAsk(ItemQuestion):
    """The columns of an item that a model is asked about; ``max_new_tokens`` if the item has its own limit.

    ``circular``: whether a choice is asked in every rotation of its options, which is the default.
    """

    item_id: str
    max_new_tokens: NotRequired[int]
    circular: NotRequired[bool]


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
    current_since: datetime | None


class CheckpointFolders(TypedDict):
    """Folders of a tuned model and its base."""

    checkpoint_id: str
    path: str
    base_path: str


class AnswerColumns(SeveralImages, FilledIn):
    """The columns of an answer that are known before the model is asked."""

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


class ReferenceAnswer(AnswerColumns, Keyed, Blamed):
    """A row of ``reference_answers``."""

    answer_id: str
    answer: str | None
    correct: bool | None
    answered_by: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    request_id: str | None


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
    """Paired comparison of a tuned model with its base."""

    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p_value: float | None
    discordance: float | None
    effective_items: float | None


class ScoreFigures(TypedDict):
    """Figures besides accuracy."""

    precision: float | None
    recall: float | None
    f1: float | None
    yes_ratio: float | None
    undecided: int | None
    mean_grade: float | None
    mean_points: float | None


class ComparedScore(PairedDifference, ScoreFigures):
    """A row of ``ability_scores`` before p-values are adjusted."""

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
    chance: float | None


class JudgedScore(ComparedScore):
    """A row of ``ability_scores`` before it is published."""

    p_holm: float | None
    verdict: str | None
    detectable_gain: float | None


class AbilityScore(JudgedScore):
    """A row of ``ability_scores``."""

    run_id: str


class AnsweredItem(TypedDict):
    """What a diagnosis needs to know of an answer to a benchmark item."""

    prompt: str | None
    question_kind: str
    question: str
    accepted: list[str]
    answer: str
    correct: bool


class DiagnosisColumns(TypedDict):
    """What one row of a diagnosis counts."""

    ability: str
    facet: str
    value: str
    question_kind: str | None
    taken_for: str | None
    n: int
    wrong: int
    error_rate: float
    interval_low: float
    interval_high: float


class CheckpointDiagnosis(DiagnosisColumns):
    """A row of ``ability_diagnosis`` before it is published."""

    diagnosis_id: str
    checkpoint_id: str


class AbilityDiagnosis(CheckpointDiagnosis):
    """A row of ``ability_diagnosis``."""

    run_id: str
