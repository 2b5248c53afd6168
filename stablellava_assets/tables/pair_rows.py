"""Types of rows in the tables about pairs: prompts, images, dialogues, verdicts and batch plans.

Each type names columns of a table in ``schemas.py``; a test compares the two. A column whose description mentions null
is ``| None``, and one that is filled in later is ``NotRequired``.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from stablellava_assets.tables.findings import StoredFinding
from stablellava_assets.text.conversations import Turn


class Fact(TypedDict):
    """A property that an image must show."""

    name: str
    value: str


class WithFacts(TypedDict):
    """A prompt with what its image must show."""

    facts: list[Fact]


def facts_of(prompt: WithFacts) -> dict[str, str]:
    """The facts of a prompt by name."""
    return {fact["name"]: fact["value"] for fact in prompt["facts"]}


class EncodedImage(TypedDict):
    """The bytes of an image file, and its name."""

    bytes: bytes
    path: str | None


class Keyed(TypedDict):
    """The outcome of a planned row."""

    row_key: str
    status: str
    reason: str | None


class FilledIn(TypedDict):
    """The columns of every row that ``refresh`` fills in."""

    run_id: NotRequired[str]


class Blamed(FilledIn):
    """Columns that ``refresh`` fills in for rows that were not made, unless the maker sets the cause itself."""

    fault: NotRequired[str | None]
    settings_key: NotRequired[str | None]


class Asked(Blamed):
    """Chat model usage for a row; all null without a model."""

    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    request_id: str | None
    example_ids: list[str] | None


class InGroup(TypedDict):
    """The place of an image among those of a dialogue; a row about a single image may omit it."""

    group_id: NotRequired[str | None]
    image_number: NotRequired[int | None]


class SpecColumns(Asked, InGroup):
    """The columns of a prompt's row that an author writes."""

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


class PromptToPaint(InGroup):
    """The columns of a prompt that painters use."""

    spec_id: str
    ability: str
    batch: str
    prompt: str
    negative_prompt: str
    seed: int


class WrittenSpec(PromptToPaint):
    """The columns of a prompt that authors use."""

    subject: str
    keywords: list[str]
    facts: list[Fact]
    author: str
    template_version: str


class ImageOrigin(TypedDict):
    """How an image was made."""

    image_id: str
    software: str | None
    painter: str
    model: str
    steps: int | None
    guidance: float | None
    scheduler: str | None
    negative_prompt: str | None
    seed: int | None


class ImageRow(ImageOrigin, Keyed, Blamed):
    """A row of ``images``."""

    spec_id: str
    ability: str
    batch: str
    image: EncodedImage | None
    width: int | None
    height: int | None
    sha256: str | None
    perceptual_hash: str | None
    ignored_keywords: list[str]
    digital_source_type: str | None
    cost_usd: float | None


class PaintedImage(TypedDict):
    """The columns of an image that authors use."""

    image_id: str
    spec_id: str
    sha256: str
    ignored_keywords: list[str]


class Conversation(TypedDict):
    """A conversation, its images, and what a right answer must contain."""

    ability: str
    batch: str
    spec_ids: list[str]
    image_ids: list[str]
    conversations: list[Turn]
    question_kind: str
    expected: str | None


class DialogueColumns(Conversation, Asked):
    """The columns of a dialogue's row that an author writes."""

    author: str
    sees_picture: bool | None


class Dialogue(DialogueColumns, Keyed):
    """A row of ``dialogues``."""

    pair_id: str


class SpecToJudge(WrittenSpec):
    """The columns of a prompt that filters use."""

    row_key: str


class ImageToJudge(TypedDict):
    """The columns of an image that filters use."""

    image_id: str
    spec_id: str
    width: int
    height: int
    sha256: str
    perceptual_hash: str
    row_key: str


class DialogueToJudge(Conversation):
    """The columns of a dialogue that filters use."""

    pair_id: str
    row_key: str


class Written(TypedDict):
    """The author of a text, and its model, if any."""

    author: str
    model: str | None


class PromptedPair(TypedDict):
    """The columns of a verdict that tell its prompts."""

    prompt: str
    subject: str
    further_prompts: NotRequired[list[str] | None]
    further_subjects: NotRequired[list[str] | None]


class ComparedPair(TypedDict):
    """The columns of a kept pair that later pairs are compared with."""

    pair_id: str
    spec_ids: list[str]
    image_ids: list[str]
    prompt: str
    subject: str
    conversations: list[Turn]
    expected: str | None
    image_sha256: str
    perceptual_hash: str
    further_prompts: NotRequired[list[str] | None]
    further_subjects: NotRequired[list[str] | None]
    further_image_sha256: NotRequired[list[str] | None]
    further_perceptual_hashes: NotRequired[list[str] | None]


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
    further_prompts: NotRequired[list[str] | None]
    further_subjects: NotRequired[list[str] | None]
    further_image_sha256: NotRequired[list[str] | None]
    further_perceptual_hashes: NotRequired[list[str] | None]


class Comparison(TypedDict):
    """A row of ``comparisons``."""

    partition: str
    ability: str
    batch: str
    pairs: str
    kept: str
    earlier: int
    compared_with: str


class Contamination(TypedDict):
    """A row of ``contamination``."""

    comparison_id: str
    ability: str
    batch: str
    benchmark: str
    items: int
    images: list[str]
    image_items: list[str]
    questions: list[str]
    question_items: list[str]


class LookupKey(TypedDict):
    """A row of ``lookup_keys``."""

    key: int
    row: int


class LookupPair(TypedDict):
    """A row of ``lookup_pairs``."""

    pair: str


class LookupVector(TypedDict):
    """A row of ``lookup_vectors``."""

    kind: str
    subject: str
    row: int
    vector: list[float]


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
    """The plan for an ability, without its explanation."""

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
    brief: NotRequired[str | None]


class PlannedBatch(BatchPlanColumns):
    """A row of ``batch_plans`` before it is recorded."""

    explanation: str


class BatchPlanRow(PlannedBatch):
    """A row of ``batch_plans``."""

    run_id: str
