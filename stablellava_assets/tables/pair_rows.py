"""What a row of the tables about pairs is: prompts, images, dialogues, verdicts on them, and the plans of batches.

Each type names the columns of a table of ``schemas.py``; a test compares the two. A column whose description speaks of null is
``| None``, one that may be left out until a row is complete is ``NotRequired``.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from stablellava_assets.tables.findings import StoredFinding
from stablellava_assets.text.conversations import Turn


class Fact(TypedDict):
    """Something that an image must show."""

    name: str
    value: str


class EncodedImage(TypedDict):
    """The bytes of an image's file, and its name."""

    bytes: bytes
    path: str | None


class Keyed(TypedDict):
    """What became of a row that was to be made."""

    row_key: str
    status: str
    reason: str | None


class FilledIn(TypedDict):
    """What ``refresh`` fills in, of every row."""

    run_id: NotRequired[str]


class Blamed(FilledIn):
    """What ``refresh`` fills in of rows that say whose fault it is that they were not made; the maker may know better."""

    fault: NotRequired[str | None]
    settings_key: NotRequired[str | None]


class Asked(Blamed):
    """What was asked of a chat model for a row; null throughout if none was."""

    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    request_id: str | None
    example_ids: list[str] | None


class SpecColumns(Asked):
    """What an author writes into a prompt's row."""

    ability: str
    batch: str
    prompt: str | None
    negative_prompt: str
    subject: str | None
    keywords: list[str]
    facts: list[Fact]
    seed: int
    author: str
    template_version: str


class PromptSpec(SpecColumns, Keyed):
    """A row of ``prompt_specs``."""

    spec_id: str


class PromptToPaint(TypedDict):
    """What a painter reads of a prompt that was written."""

    spec_id: str
    ability: str
    batch: str
    prompt: str
    negative_prompt: str
    seed: int


class WrittenSpec(PromptToPaint):
    """What an author reads of a prompt that was written."""

    subject: str
    keywords: list[str]
    facts: list[Fact]
    author: str
    template_version: str


class ImageRow(Keyed, Blamed):
    """A row of ``images``."""

    image_id: str
    spec_id: str
    ability: str
    batch: str
    image: EncodedImage | None
    width: int | None
    height: int | None
    software: str | None
    painter: str
    model: str
    steps: int | None
    guidance: float | None
    scheduler: str | None
    negative_prompt: str | None
    seed: int | None
    sha256: str | None
    perceptual_hash: str | None
    ignored_keywords: list[str]
    digital_source_type: str | None
    cost_usd: float | None


class PaintedImage(TypedDict):
    """What an author reads of an image that was made."""

    image_id: str
    spec_id: str
    sha256: str
    ignored_keywords: list[str]


class ImageBytes(TypedDict):
    """An image to look at; null if it was not made."""

    image_id: str
    image: EncodedImage | None


class DialogueColumns(Asked):
    """What an author writes into a dialogue's row."""

    ability: str
    batch: str
    spec_ids: list[str]
    image_ids: list[str]
    conversations: list[Turn]
    question_kind: str
    expected: str | None
    author: str
    sees_picture: bool | None


class Dialogue(DialogueColumns, Keyed):
    """A row of ``dialogues``."""

    pair_id: str


class SpecToJudge(WrittenSpec):
    """What the filters read of a prompt that was written."""

    row_key: str


class ImageToJudge(TypedDict):
    """What the filters read of an image that was made."""

    image_id: str
    spec_id: str
    image: EncodedImage
    width: int
    height: int
    sha256: str
    perceptual_hash: str
    row_key: str


class DialogueToJudge(TypedDict):
    """What the filters read of a dialogue that was written."""

    pair_id: str
    ability: str
    batch: str
    spec_ids: list[str]
    image_ids: list[str]
    conversations: list[Turn]
    question_kind: str
    expected: str | None
    row_key: str


class Written(TypedDict):
    """Who wrote a text, and with which model, if any."""

    author: str
    model: str | None


class ComparedPair(TypedDict):
    """What a kept pair is compared with later ones by."""

    pair_id: str
    spec_ids: list[str]
    image_ids: list[str]
    prompt: str
    subject: str
    conversations: list[Turn]
    expected: str | None
    image_sha256: str
    perceptual_hash: str


class Verdict(TypedDict):
    """A row of ``filtered_pairs`` or ``rejected_pairs``; ``run_id`` is filled in when it is published."""

    pair_id: str
    ability: str
    batch: str
    spec_ids: list[str]
    image_ids: list[str]
    prompt: str
    subject: str
    conversations: list[Turn]
    question_kind: str
    expected: str | None
    findings: list[StoredFinding]
    keyword_count: int
    answer_words: int
    subject_named: bool | None
    image_spread: float | None
    image_sha256: str
    perceptual_hash: str
    row_key: str
    run_id: NotRequired[str]


class AlignmentScore(Keyed, FilledIn):
    """A row of ``alignment_scores``."""

    score_id: str
    ability: str
    batch: str
    spec_id: str
    image_id: str
    scorer: str
    fact: str
    claim: str
    question: str | None
    answer: str | None
    model: str | None
    score: float | None


class BatchPlanColumns(TypedDict):
    """What was planned for an ability, without a word on why."""

    plan_id: str
    batch: str
    ability: str
    checkpoint_id: str | None
    n: int
    correct: int
    accuracy: float | None
    lower_bound: float
    dialogues: int
    kept: int
    filter_yield: float | None
    weight: float | None
    rows_per_batch: int
    rows: int
    benchmark: str | None
    least: int | None
    most: int | None
    begun: bool | None


class PlannedBatch(BatchPlanColumns):
    """A row of ``batch_plans`` that is not recorded yet."""

    explanation: str


class BatchPlanRow(PlannedBatch):
    """A row of ``batch_plans``."""

    run_id: str
