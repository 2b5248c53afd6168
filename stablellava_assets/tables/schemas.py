"""The schemas of all tables: the only definition of their columns, types and meanings."""

from __future__ import annotations

import pyarrow as pa

from stablellava_assets.tables.findings import EARLIER_COLUMNS, FINDINGS, findings_of_earlier_columns
from stablellava_assets.tables.pair_rows import (
    AlignmentScore,
    BatchPlanRow,
    Comparison,
    Contamination,
    Dialogue,
    ImageRow,
    LookupKey,
    LookupPair,
    LookupVector,
    PromptSpec,
    Verdict,
)
from stablellava_assets.tables.score_rows import (
    AbilityAnswer,
    AbilityDiagnosis,
    AbilityScore,
    AnswerJudgement,
    BenchmarkItem,
    Checkpoint,
    ReferenceAnswer,
)
from stablellava_assets.tables.table import (
    CONVERSATIONS,
    FACTS,
    IMAGE,
    IMAGE_LIST,
    STRINGS,
    AnyTable,
    Table,
    Upgrade,
    column,
)

MADE, FAILED, DEFERRED = "made", "failed", "deferred"
"""Row status. ``failed``: the same inputs would fail again. ``deferred``: retried in the next run."""

OF_ROW, OF_SETTING, OF_ENDPOINT, OF_BUDGET = "row", "setting", "endpoint", "budget"
"""Cause of a row that was not made. ``row``: it would fail again. ``setting``: it may succeed once a setting changes.
``endpoint``: it may succeed next time. ``budget``: it is retried once the budget allows it.
"""

CAUSES = {FAILED: (OF_ROW, OF_SETTING), DEFERRED: (OF_ENDPOINT, OF_BUDGET)}
"""The possible causes for each status; the first is the default."""

_ABILITY = column("ability", pa.string(), "Ability of the row; the catalog has one YAML file per ability.")
_BATCH = column("batch", pa.string(), "Batch within the ability, four digits from 0001.")
_ROW_KEY = column(
    "row_key",
    pa.string(),
    "Hash of the inputs and settings that determine the row; a row with an unchanged key is reused.",
)
_STATUS = column(
    "status", pa.string(), "made, failed (the same inputs would fail again) or deferred (retried in the next run)."
)
_REASON = column("reason", pa.string(), "Why a row is failed or deferred; null when made.")
_RUN_ID = column("run_id", pa.string(), "Run that computed the row; reused rows keep the run that made them.")
_TAIL = (_ROW_KEY, _STATUS, _REASON, _RUN_ID)
_BLAME = (
    column(
        "fault",
        pa.string(),
        "Cause of a row that was not made: row (it stays failed), setting (retried once the settings change), endpoint "
        "(retried in the next run) or budget (retried once the budget allows it); null when made, and in rows of "
        "earlier versions.",
    ),
    column(
        "settings_key",
        pa.string(),
        "Hash of the settings under which a row failed because of a setting; null otherwise.",
    ),
)
"""Machine-readable cause of a request that produced no row."""
_BLAMED = frozenset(field.name for field in _BLAME)
_GROUPED = frozenset({"group_id", "image_number"})

_SEVERAL_IMAGES = (
    column(
        "accepted_groups",
        pa.list_(STRINGS),
        "Groups of keywords, of each of which a right answer contains one; null if there is only one group, accepted.",
    ),
    column("in_order", pa.bool_(), "Whether a right answer names the groups in this order; null if the order is free."),
    column(
        "history",
        CONVERSATIONS,
        "Earlier turns of the conversation, with an <image> mark for each image; null if the question is the first.",
    ),
)
"""Columns of questions about several images."""
_ASKED_OF_SEVERAL = frozenset(field.name for field in _SEVERAL_IMAGES)
_FURTHER = ("further_images", "further_sha256", "further_perceptual_hashes")
_OF_SEVERAL = _ASKED_OF_SEVERAL | set(_FURTHER)

_MODEL = (
    "base or tuned; or tuned as a control: blind (every image blank), swapped (another item's image), blanked (one of "
    "several images blank) or exchanged (several images in reverse order)."
)
_ASKED_KIND = "what, yes_no, either_or, choice or open."
_QUESTION_KIND = "describe, what, yes_no, either_or, misleading, negative_presupposition, not_shown, multi_turn."
_ASKED = (
    column("model", pa.string(), "Chat model, as the endpoint names it; null if no model was called."),
    column("prompt_tokens", pa.int64(), "Tokens sent: the row's share of its request; null if no model was called."),
    column(
        "completion_tokens",
        pa.int64(),
        "Tokens received: the row's share of its request; null if no model was called.",
    ),
    column(
        "cost_usd",
        pa.float64(),
        "The row's share of the request's cost in US dollars; null if unknown, never an estimate.",
    ),
    column(
        "request_id", pa.string(), "Request to the chat model, as in data/chat_ledger.sqlite; null if there was none."
    ),
    column(
        "example_ids",
        STRINGS,
        "In-context examples in the request: the first 16 hex digits of the SHA-256 of each text; null if no "
        "model was called.",
    ),
)
"""Columns about requests to a chat model. The parts of the rows of one request add up to its total cost."""

PROMPT_SPECS = Table(
    "prompt_specs",
    PromptSpec,
    "Text-to-image prompts, one row per prompt, with the facts that its image must show.",
    "spec_id",
    ("ability", "batch"),
    (
        column("spec_id", pa.string(), "Content hash of ability, batch, position and author."),
        _ABILITY,
        _BATCH,
        column(
            "prompt",
            pa.string(),
            "Comma-separated keywords, the subject first in double brackets; null when not made.",
        ),
        column("negative_prompt", pa.string(), "What the image should not show."),
        column("subject", pa.string(), "The bracketed subject; null when not made."),
        column("keywords", STRINGS, "The keywords after the subject, in order."),
        column(
            "facts",
            FACTS,
            "What the image must show, by name: subject, answer, scene, style, placement; keyword: what the chat "
            "model was told to write about.",
        ),
        column(
            "seed",
            pa.int64(),
            "Seed of the image, derived from spec_id, or from group_id if the images of a group share it.",
        ),
        column(
            "group_id",
            pa.string(),
            "Group of images that one dialogue is about; null for an ability about single images, and in rows of "
            "earlier versions.",
        ),
        column(
            "image_number",
            pa.int32(),
            "Number of the image in its group, from 1; null for an ability about single images, and in rows of earlier "
            "versions.",
        ),
        column("author", pa.string(), "Author (text generator) that wrote the prompt."),
        column(
            "template_version",
            pa.string(),
            "Hash of the ability's vocabulary or guidance behind the prompt, or of the source row.",
        ),
        *_ASKED,
        *_TAIL,
        *_BLAME,
    ),
    added=_BLAMED | _GROUPED,
    optional=_BLAMED | _GROUPED,
)

IMAGES = Table(
    "images",
    ImageRow,
    "One image per prompt, in the layout that Hugging Face datasets displays as images.",
    "image_id",
    ("ability", "batch"),
    (
        column("image_id", pa.string(), "Content hash of spec_id and painter."),
        column("spec_id", pa.string(), "Prompt of the image."),
        _ABILITY,
        _BATCH,
        column("image", IMAGE, "The encoded image and its file name; null when not made."),
        column("width", pa.int32(), "Width in pixels; null when not made."),
        column("height", pa.int32(), "Height in pixels; null when not made."),
        column(
            "software",
            pa.string(),
            "This software and its version when it made the row; null in rows of earlier versions.",
        ),
        column("painter", pa.string(), "Painter (image generator) that made the image."),
        column("model", pa.string(), "Model or artwork of the painter, with its version."),
        column("steps", pa.int32(), "Denoising steps; null if the painter has none."),
        column("guidance", pa.float64(), "Classifier-free guidance scale; null if the painter has none."),
        column(
            "scheduler",
            pa.string(),
            "Sampler of the denoising steps, by its name in diffusers; null if the painter has none.",
        ),
        column("negative_prompt", pa.string(), "Negative prompt of the image; null if the painter takes none."),
        column("seed", pa.int64(), "Seed the image was made with; null if the painter takes none."),
        column("sha256", pa.string(), "SHA-256 of the encoded image, hex; null when not made."),
        column(
            "perceptual_hash",
            pa.string(),
            "Perceptual hash of the image, hex; similar images differ in few bits. Null when not made.",
        ),
        column("ignored_keywords", STRINGS, "Prompt keywords that the painter ignored."),
        column(
            "digital_source_type",
            pa.string(),
            "IPTC digital source type: trainedAlgorithmicMedia, which is in the file too (XMP), or "
            "compositeSynthetic; null when not made, and in rows of earlier versions.",
        ),
        column(
            "cost_usd",
            pa.float64(),
            "US dollars paid to an endpoint for the image, including rejected attempts; null if no endpoint was "
            "called or the price is unknown, and in rows of earlier versions.",
        ),
        *_TAIL,
        *_BLAME,
    ),
    added=frozenset({"cost_usd", "digital_source_type", "negative_prompt", "scheduler", "software"}) | _BLAMED,
    optional=_BLAMED,
)

DIALOGUES = Table(
    "dialogues",
    Dialogue,
    "Conversations about images in LLaVA's layout, one row per conversation.",
    "pair_id",
    ("ability", "batch"),
    (
        column("pair_id", pa.string(), "Content hash of the specs, the question kind and the author."),
        _ABILITY,
        _BATCH,
        column("spec_ids", STRINGS, "Prompts of the conversation's images, in the order of the <image> marks."),
        column("image_ids", STRINGS, "Images of the conversation, in the order of the <image> marks."),
        column(
            "conversations",
            CONVERSATIONS,
            "Turns: from is human or gpt, value is the text with an <image> mark at the position of the image.",
        ),
        column("question_kind", pa.string(), _QUESTION_KIND),
        column(
            "expected", pa.string(), "What a right answer must contain: a word, yes or no; null for open questions."
        ),
        column("author", pa.string(), "Author (text generator) that wrote the dialogue."),
        *_ASKED,
        column(
            "sees_picture",
            pa.bool_(),
            "Whether the chat model saw the image or only its prompt; null if no model was called.",
        ),
        *_TAIL,
        *_BLAME,
    ),
    added=_BLAMED,
    optional=_BLAMED,
)

_VERDICT_COLUMNS = (
    column("pair_id", pa.string(), "The dialogue that was judged."),
    _ABILITY,
    _BATCH,
    column("spec_ids", STRINGS, "Prompts of the conversation's images."),
    column("image_ids", STRINGS, "Images of the conversation."),
    column("prompt", pa.string(), "Prompt of the first image."),
    column("subject", pa.string(), "Subject of the first image."),
    column("conversations", CONVERSATIONS, "The conversation, as written."),
    column("question_kind", pa.string(), _QUESTION_KIND),
    column("expected", pa.string(), "What a right answer must contain; null for open questions."),
    column(
        "findings",
        FINDINGS,
        "What the filters and people found, in their order: the rule, its outcome (rejects, notes, or overruled by a "
        "person), an explanation in one sentence, and the earlier pair that this one repeats, if that is the finding.",
    ),
    column("keyword_count", pa.int32(), "Keywords in the prompt; of several prompts, in the longest."),
    column("answer_words", pa.int32(), "Words in the longest answer."),
    column(
        "subject_named",
        pa.bool_(),
        "Whether an answer names the subject; null if the question kind does not ask for it.",
    ),
    column(
        "image_spread",
        pa.float64(),
        "Standard deviation of the image's grey values (0 to 255), the smallest of several images; 0 is a blank image. "
        "Null if an image cannot be decoded.",
    ),
    column("image_sha256", pa.string(), "SHA-256 of the first image, with which later batches find duplicates."),
    column("perceptual_hash", pa.string(), "Perceptual hash of the first image, for the same purpose."),
    _ROW_KEY,
    _RUN_ID,
    column("further_prompts", STRINGS, "Prompts of the images after the first, in order; null if there is only one."),
    column("further_subjects", STRINGS, "Subjects of the images after the first; null if there is only one."),
    column("further_image_sha256", STRINGS, "SHA-256 of the images after the first; null if there is only one."),
    column(
        "further_perceptual_hashes",
        STRINGS,
        "Perceptual hashes of the images after the first; null if there is only one.",
    ),
)
_FURTHER_IMAGES = frozenset(
    {"further_prompts", "further_subjects", "further_image_sha256", "further_perceptual_hashes"}
)
_VERDICT_UPGRADES = (Upgrade("findings", EARLIER_COLUMNS, findings_of_earlier_columns),)

FILTERED_PAIRS = Table(
    "filtered_pairs",
    Verdict,
    "Pairs that passed every filter, with their measurements, one row per pair.",
    "pair_id",
    ("ability", "batch"),
    _VERDICT_COLUMNS,
    added=_FURTHER_IMAGES,
    optional=_FURTHER_IMAGES,
    upgrades=_VERDICT_UPGRADES,
)

REJECTED_PAIRS = Table(
    "rejected_pairs",
    Verdict,
    "Pairs that at least one filter rejected, with every reason, one row per pair.",
    "pair_id",
    ("ability", "batch"),
    _VERDICT_COLUMNS,
    added=_FURTHER_IMAGES,
    optional=_FURTHER_IMAGES,
    upgrades=_VERDICT_UPGRADES,
)

COMPARISONS = Table(
    "comparisons",
    Comparison,
    "Which earlier kept pairs the verdicts on a batch take into account, one row per partition of filtered_pairs.",
    "partition",
    ("ability", "batch"),
    (
        column("partition", pa.string(), "The partition of filtered_pairs, as ability|batch."),
        _ABILITY,
        _BATCH,
        column("pairs", pa.string(), "Hash of the ids of all judged pairs, kept or rejected."),
        column("kept", pa.string(), "Hash of the kept pairs: of their ids and row keys, in order."),
        column("earlier", pa.int32(), "Number of earlier partitions that the pairs were compared with."),
        column(
            "compared_with",
            pa.string(),
            "Hash of these partitions and of what each of them had kept. If it is no longer that of the published "
            "ones, the repeats are found again before anything is trained on or exported.",
        ),
    ),
)

CONTAMINATION = Table(
    "contamination",
    Contamination,
    "What a batch shares with each benchmark that it was compared with, one row per partition of filtered_pairs and "
    "benchmark.",
    "comparison_id",
    ("ability", "batch"),
    (
        column("comparison_id", pa.string(), "The partition and the benchmark, as ability|batch|benchmark."),
        _ABILITY,
        _BATCH,
        column(
            "benchmark",
            pa.string(),
            "ai (synthesized), photos, the name of a published benchmark, or a name under filters.avoid.",
        ),
        column("items", pa.int64(), "Number of its items; under filters.avoid, of its images."),
        column(
            "images",
            STRINGS,
            "Ids of images of judged pairs that are like an image of an item, or have its prompt if it was "
            "synthesized. Their pairs are rejected unless a person decided otherwise.",
        ),
        column("image_items", STRINGS, "Ids of these items."),
        column("questions", STRINGS, "Ids of judged pairs that ask what an item asks, or nearly so."),
        column("question_items", STRINGS, "Ids of these items."),
    ),
)

_LOOKED_UP_BY = ("ability", "batch", "version")
_ROWS_SCANNED_AT_ONCE = 122_880

LOOKUP_KEYS = Table(
    "lookup_keys",
    LookupKey,
    "Hashes of the kept pairs of a partition: pairs that could repeat each other share at least one.",
    "row",
    _LOOKED_UP_BY,
    (
        column("key", pa.int64(), "Hash of a part of a pair that another could repeat."),
        column("row", pa.int32(), "Position of the pair in its partition of filtered_pairs."),
    ),
    rows_per_group=_ROWS_SCANNED_AT_ONCE,
)
"""Not one of :data:`TABLES`: it is derived from ``filtered_pairs``. ``version`` is a hash of the
kept pairs and of the settings, so that a file never has to be changed."""

LOOKUP_PAIRS = Table(
    "lookup_pairs",
    LookupPair,
    "The kept pairs of a partition as they are compared with others, in small row groups, since few are read.",
    "pair",
    _LOOKED_UP_BY,
    (column("pair", pa.string(), "The compared columns of filtered_pairs, as JSON."),),
    rows_per_group=64,
)
"""Like :data:`LOOKUP_KEYS`, whose ``row`` is a position in this table."""

LOOKUP_VECTORS = Table(
    "lookup_vectors",
    LookupVector,
    "Embeddings of the kept pairs of a partition, for settings that compare by embeddings.",
    "row",
    _LOOKED_UP_BY,
    (
        column("kind", pa.string(), "prompt, answer or image."),
        column("subject", pa.string(), "Normalized subject, within which embeddings are compared."),
        column("row", pa.int32(), "Position of the pair in its partition of filtered_pairs."),
        column("vector", pa.list_(pa.float32()), "Embedding of unit length."),
    ),
)
"""Like :data:`LOOKUP_KEYS`; the models are part of its ``version``."""

ALIGNMENT_SCORES = Table(
    "alignment_scores",
    AlignmentScore,
    "How well an image shows what its prompt asks for: one row per image, scorer and claim; empty until "
    "filters.alignment is set.",
    "score_id",
    ("ability", "batch"),
    (
        column("score_id", pa.string(), "Content hash of scorer, image and fact."),
        _ABILITY,
        _BATCH,
        column("spec_id", pa.string(), "The prompt whose claim was scored."),
        column("image_id", pa.string(), "The image that was scored."),
        column("scorer", pa.string(), "clip (CLIPScore), vqa (VQAScore) or facts (one question per fact)."),
        column(
            "fact",
            pa.string(),
            "Part of the prompt that the claim covers: prompt for all of it, or the name of a fact.",
        ),
        column("claim", pa.string(), "What the image must show."),
        column("question", pa.string(), "The question to the model; null for embedding scorers or when not scored."),
        column("answer", pa.string(), "The answer whose probability is the score; null if question is null."),
        column(
            "model", pa.string(), "Scoring model: a name, or a checkpoint of llava_checkpoint; null if there was none."
        ),
        column(
            "score",
            pa.float64(),
            "CLIPScore (0 to 2.5), or a probability (0 to 1); null when not scored.",
        ),
        *_TAIL,
    ),
)

ABILITY_BENCHMARK = Table(
    "ability_benchmark",
    BenchmarkItem,
    "Held-out benchmark questions, one row per question about one image or several, with the keywords that are right.",
    "item_id",
    ("ability",),
    (
        column("item_id", pa.string(), "Content hash of the image's prompt and the question."),
        column("benchmark", pa.string(), "Benchmark: ai (synthesized images) or photos (real photographs)."),
        _ABILITY,
        column("question_kind", pa.string(), _ASKED_KIND),
        column(
            "prompt",
            pa.string(),
            "Prompt of the image, or of each of several images on a line of its own; training pairs with this prompt "
            "are rejected as contaminated. Null for a photograph.",
        ),
        column("image", IMAGE, "The encoded image, the first of several; null when not made."),
        column(
            "sha256",
            pa.string(),
            "SHA-256 of the encoded image, hex; null when not made, and in rows of earlier versions.",
        ),
        column("perceptual_hash", pa.string(), "Perceptual hash of the image, hex; null when not made."),
        column("seed", pa.int64(), "Seed the image was made with; null for a photograph."),
        column(
            "question",
            pa.string(),
            "The question, in a wording that training never uses; with an <image> mark for each image if there are "
            "several or a history.",
        ),
        column(
            "options", STRINGS, "Options of an either-or question or a multiple-choice question, in order; else empty."
        ),
        column("accepted", STRINGS, "Keywords; a right answer contains at least one of them."),
        column(
            "refused", STRINGS, "Keywords that make an answer wrong: the other option, or the opposite of yes or no."
        ),
        *_TAIL,
        *_SEVERAL_IMAGES,
        column(
            "further_images", IMAGE_LIST, "The encoded images after the first, in order; null if there is only one."
        ),
        column("further_sha256", STRINGS, "SHA-256 of each of the further images; null if there are none."),
        column(
            "further_perceptual_hashes",
            STRINGS,
            "Perceptual hash of each of the further images; null if there are none.",
        ),
    ),
    added=frozenset({"sha256"}) | _OF_SEVERAL,
    optional=_OF_SEVERAL,
)

LLAVA_CHECKPOINT = Table(
    "llava_checkpoint",
    Checkpoint,
    "Tuned models, one row per model: location, data, settings and loss.",
    "checkpoint_id",
    ("checkpoint_id",),
    (
        column("checkpoint_id", pa.string(), "Content hash of the pairs, the images and the settings."),
        column("path", pa.string(), "Folder of the tuned model, relative to the data folder."),
        column("base_path", pa.string(), "Base model: a folder relative to the data folder, or a hub name."),
        column("model", pa.string(), "Model that the profile names."),
        column("pairs", pa.int64(), "Training pairs."),
        column("images", pa.int64(), "Distinct training images."),
        column("parameters", pa.int64(), "Trained parameters."),
        column("settings", pa.string(), "Tuning settings, as JSON."),
        column(
            "loss_curve", pa.list_(pa.struct([("step", pa.int32()), ("loss", pa.float64())])), "Training loss by step."
        ),
        column("seconds", pa.float64(), "Wall time of the tuning in seconds, without training the base."),
        column("created_at", pa.timestamp("us", tz="UTC"), "When the tuning ended."),
        _RUN_ID,
        column("pairs_key", pa.string(), "Content hash of the kept pairs; null in rows of earlier versions."),
        column(
            "current_since",
            pa.timestamp("us", tz="UTC"),
            "When it became the current model, which has the latest time; null in rows of earlier versions.",
        ),
    ),
    added=frozenset({"pairs_key", "current_since"}),
    earlier_partitioned_by=(),
)

ABILITY_ANSWERS = Table(
    "ability_answers",
    AbilityAnswer,
    "Answers to benchmark questions, one row per model and question, so that every score can be traced.",
    "answer_id",
    ("checkpoint_id",),
    (
        column("answer_id", pa.string(), "Content hash of checkpoint, model, item and rotation."),
        column("checkpoint_id", pa.string(), "The tuned model of this comparison."),
        column("model", pa.string(), _MODEL),
        column("benchmark", pa.string(), "Benchmark of the item: ai, photos, diagnosis, or a published one."),
        column(
            "ability",
            pa.string(),
            "Ability that is measured; for a published benchmark its split, category or capabilities (joined by +).",
        ),
        column("item_id", pa.string(), "The benchmark item."),
        column("question_kind", pa.string(), _ASKED_KIND),
        column("question", pa.string(), "The question."),
        column("answer", pa.string(), "The model's answer."),
        column("accepted", STRINGS, "Keywords; a right answer contains at least one of them."),
        column(
            "correct", pa.bool_(), "Whether the answer is right by keywords; a judge's grade is in answer_judgements."
        ),
        *_TAIL,
        column("rotation", pa.int32(), "Rotation of the options of a multiple-choice question; null otherwise."),
        column("options", STRINGS, "The options in the order shown; null if there were none."),
        column("refused", STRINGS, "Keywords that make an answer wrong; null in rows of earlier versions."),
        column("picture", pa.string(), "Content hash of the image or images; null in rows of earlier versions."),
        *_SEVERAL_IMAGES,
    ),
    added=frozenset({"rotation", "options", "refused", "picture"}) | _ASKED_OF_SEVERAL,
    optional=_ASKED_OF_SEVERAL,
)

_ASKED_QUESTION = ("benchmark", "ability", "item_id", "question_kind", "question", "accepted", "rotation", "options")

REFERENCE_ANSWERS = Table(
    "reference_answers",
    ReferenceAnswer,
    "Answers of models behind endpoints to the same benchmark questions, one row per model and question; empty until "
    "benchmark.references is set.",
    "answer_id",
    ("checkpoint_id",),
    (
        column("answer_id", pa.string(), "Content hash of checkpoint, reference model, item and rotation."),
        column("checkpoint_id", pa.string(), "The tuned model that it is compared with."),
        column("model", pa.string(), "The reference model, as the profile names it."),
        *(ABILITY_ANSWERS.schema.field(name) for name in _ASKED_QUESTION),
        column("refused", STRINGS, "Keywords that make an answer wrong; null if there are none."),
        column("picture", pa.string(), "Content hash of the image or images; never null."),
        *_SEVERAL_IMAGES,
        column("answer", pa.string(), "The model's answer without its thoughts; null if there is none."),
        column(
            "correct",
            pa.bool_(),
            "Whether the answer is right by keywords; false if the model refused to answer, null if it was not asked "
            "or could not answer.",
        ),
        column("answered_by", pa.string(), "The model, as the endpoint names it; null if there was no answer."),
        *(field for field in _ASKED if field.name not in ("model", "example_ids")),
        *_TAIL,
        *_BLAME,
    ),
    added=_BLAMED,
    optional=_BLAMED | _ASKED_OF_SEVERAL,
)

ANSWER_JUDGEMENTS = Table(
    "answer_judgements",
    AnswerJudgement,
    "Grades given by a chat model, one row per answer; empty until benchmark.judge is set.",
    "judgement_id",
    ("checkpoint_id",),
    (
        column("judgement_id", pa.string(), "Content hash of the answer's id and the judge."),
        column("checkpoint_id", pa.string(), "The tuned model of this comparison."),
        column("answer_id", pa.string(), "The answer that was graded."),
        column("answered_by", pa.string(), "base, tuned or the name of a reference model."),
        column("benchmark", pa.string(), "Benchmark of the item."),
        column("item_id", pa.string(), "The benchmark item."),
        column("question_kind", pa.string(), _ASKED_KIND),
        column(
            "grade",
            pa.float64(),
            "Grade of the answer, 0 to 1: points of ten, or of five if there are several images; null when not graded.",
        ),
        column("correct", pa.bool_(), "Whether the grade is 0.5 or more; null when not graded."),
        column("by_keywords", pa.bool_(), "Whether the same answer is right by keywords."),
        column("explanation", pa.string(), "The judge's reason; null when not graded."),
        column("prompt_version", pa.string(), "Version of the judge's instructions, with a hash of their text."),
        *_ASKED[:-1],
        *_TAIL,
        *_BLAME,
    ),
    added=_BLAMED,
    optional=_BLAMED,
)

ABILITY_SCORES = Table(
    "ability_scores",
    AbilityScore,
    "Accuracy of the base and the tuned model, of controls and of reference models, one row per model, ability and "
    "question kind.",
    "score_id",
    ("checkpoint_id",),
    (
        column("score_id", pa.string(), "Content hash of checkpoint, model, benchmark, ability and kind."),
        column("checkpoint_id", pa.string(), "The tuned model of this comparison."),
        column("model", pa.string(), f"{_MODEL[:-1]}; or the name of a reference model."),
        column("benchmark", pa.string(), "Benchmark of the questions."),
        column("ability", pa.string(), "Ability; for a published benchmark its split, category or capability; or all."),
        column("question_kind", pa.string(), "what, yes_no, either_or, choice, open, or all."),
        column("n", pa.int64(), "Number of items asked."),
        column(
            "correct",
            pa.int64(),
            "Items answered right; a multiple-choice question counts only if it is right in every rotation.",
        ),
        column("accuracy", pa.float64(), "correct / n."),
        column("interval_low", pa.float64(), "Lower bound of the 95 % Wilson score interval."),
        column("interval_high", pa.float64(), "Upper bound of the 95 % Wilson score interval."),
        column(
            "p_value",
            pa.float64(),
            "Exact McNemar test of base against tuned over the same items; over images if some have several questions. "
            "Null if there are none.",
        ),
        column(
            "difference",
            pa.float64(),
            "Accuracy of tuned minus that of base over the items both answered; null if there are none.",
        ),
        column("difference_low", pa.float64(), "Lower bound of the difference's 95 % interval (Bonett and Price)."),
        column("difference_high", pa.float64(), "Upper bound of the difference's 95 % interval."),
        column(
            "p_holm",
            pa.float64(),
            "p_value corrected by Holm over the abilities of the same benchmark and question kind; the total over all "
            "abilities is a separate test.",
        ),
        column(
            "verdict",
            pa.string(),
            "better or worse if p_holm is below 0.05, else no difference shown; it describes the tuned model against "
            "the base and is in the base's row too. Rows of a reference model compare the tuned model with that one: "
            "this, the p-values, the difference and the gain that could be shown.",
        ),
        _RUN_ID,
        column("precision", pa.float64(), "Share of the yes answers that are right; null except in yes-no rows."),
        column(
            "recall",
            pa.float64(),
            "Share of the questions with the right answer yes that were answered yes; null except in yes-no rows.",
        ),
        column("f1", pa.float64(), "Harmonic mean of precision and recall; null except in yes-no rows."),
        column("yes_ratio", pa.float64(), "Share of the answers that say yes; null except in yes-no rows."),
        column(
            "undecided",
            pa.int64(),
            "Answers that say neither yes nor no, which are wrong; null except in yes-no rows.",
        ),
        column("mean_grade", pa.float64(), "Mean grade (0 to 1) of the graded answers; null if none was graded."),
        column("unscored", pa.int64(), "Items without a grade or a reference model's answer yet; they are not in n."),
        column(
            "mean_points",
            pa.float64(),
            "Mean of the judge's grades from 1 to 5 of answers about several synthesized images; null without any.",
        ),
        column(
            "discordance",
            pa.float64(),
            "Share of the items both answered that only one of the two models answered right; null if there are none.",
        ),
        column(
            "effective_items",
            pa.float64(),
            "Number of independent items that those tell as much as; fewer than they are if some share an image.",
        ),
        column(
            "detectable_gain",
            pa.float64(),
            "Smallest gain that would have been shown with a chance of 0.8 by as many items at this discordance, at "
            "the corrected level; null if no gain would, or nothing was compared.",
        ),
        column(
            "chance",
            pa.float64(),
            "Expected accuracy of guessing: one of the options, yes or no, or always the commonest answer of the "
            "ability; null for open questions.",
        ),
    ),
    added=frozenset(
        {
            *("discordance", "effective_items", "detectable_gain"),
            *("difference", "difference_low", "difference_high", "p_holm", "verdict"),
            *("precision", "recall", "f1", "yes_ratio", "undecided", "mean_grade", "unscored", "mean_points"),
            "chance",
        }
    ),
)

ABILITY_DIAGNOSIS = Table(
    "ability_diagnosis",
    AbilityDiagnosis,
    "What the tuned model gets wrong in items that are in no score, one row per ability, facet and value; empty until "
    "benchmark.diagnosis_items_per_kind is set.",
    "diagnosis_id",
    ("checkpoint_id",),
    (
        column("diagnosis_id", pa.string(), "Content hash of checkpoint, ability, facet and what is counted."),
        column("checkpoint_id", pa.string(), "The tuned model."),
        _ABILITY,
        column(
            "facet",
            pa.string(),
            "What is counted by: question_kind, expected (the answer due to a yes-no question), subject, scene, style, "
            "content, position, distance, compared (what the images of a group are compared by), wording, or "
            "confusion.",
        ),
        column("value", pa.string(), "Value of the facet; of a confusion, the answer that the image shows."),
        column("question_kind", pa.string(), "Kind of the questions of a confusion; null for other facets."),
        column("taken_for", pa.string(), "Answer that the value was taken for; null except in confusions."),
        column("n", pa.int64(), "Items asked; of a confusion, those in which it could have happened."),
        column("wrong", pa.int64(), "Items answered wrong; of a confusion, those in which it happened."),
        column("error_rate", pa.float64(), "Share of wrong answers: wrong / n."),
        column("interval_low", pa.float64(), "Lower bound of the rate's 95 % Wilson score interval."),
        column("interval_high", pa.float64(), "Upper bound of the rate's 95 % Wilson score interval."),
        _RUN_ID,
    ),
)

BATCH_PLANS = Table(
    "batch_plans",
    BatchPlanRow,
    "Planned prompts, one row per ability and batch, recorded when the batch is first requested; only with planning.",
    "plan_id",
    ("batch", "ability"),
    (
        column("plan_id", pa.string(), "Content hash of batch and ability."),
        _BATCH,
        _ABILITY,
        column("checkpoint_id", pa.string(), "Tuned model whose scores were used; null if nothing was scored."),
        column("n", pa.int64(), "Benchmark questions that the model was asked."),
        column("correct", pa.int64(), "Questions that it answered right."),
        column("accuracy", pa.float64(), "correct / n; null if nothing was asked."),
        column("lower_bound", pa.float64(), "Lower bound of the 95 % Wilson score interval; 0 if nothing was asked."),
        column("dialogues", pa.int64(), "Dialogues of earlier batches that were filtered."),
        column("kept", pa.int64(), "Pairs of these that were kept."),
        column("filter_yield", pa.float64(), "kept / dialogues; null if nothing was filtered."),
        column(
            "weight",
            pa.float64(),
            "Deficit of the ability (1 - lower_bound) divided by its filter yield; null if it was not weighted.",
        ),
        column("rows_per_batch", pa.int64(), "rows_per_batch in the profile at that time, or that of rows_by_ability."),
        column("rows", pa.int64(), "Prompts planned for the ability; groups of prompts if it is about several images."),
        column("explanation", pa.string(), "Reason for this number, as reported when the batch was planned."),
        _RUN_ID,
        column(
            "benchmark",
            pa.string(),
            "Benchmark whose scores were used; null in rows of earlier versions, which summed over all.",
        ),
        column("least", pa.int64(), "Minimum number of prompts by min_factor; null in rows of earlier versions."),
        column("most", pa.int64(), "Maximum number of prompts by max_factor; null in rows of earlier versions."),
        column(
            "begun",
            pa.bool_(),
            "Whether the prompts existed before the plan, which then kept their number; null in rows of earlier "
            "versions.",
        ),
        column(
            "brief",
            pa.string(),
            "What the batch has more of, as JSON: weights of subjects, what they are confused with, and the mistakes "
            "that this comes from; null without planning.errors, and if there were none.",
        ),
    ),
    added=frozenset({"benchmark", "least", "most", "begun", "brief"}),
    optional=frozenset({"brief"}),
    earlier_partitioned_by=("batch",),
)

TABLES: tuple[AnyTable, ...] = (
    PROMPT_SPECS,
    IMAGES,
    DIALOGUES,
    FILTERED_PAIRS,
    REJECTED_PAIRS,
    COMPARISONS,
    CONTAMINATION,
    ALIGNMENT_SCORES,
    ABILITY_BENCHMARK,
    LLAVA_CHECKPOINT,
    ABILITY_ANSWERS,
    REFERENCE_ANSWERS,
    ANSWER_JUDGEMENTS,
    ABILITY_SCORES,
    ABILITY_DIAGNOSIS,
    BATCH_PLANS,
)
