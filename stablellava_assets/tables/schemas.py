"""The schema of every table: the only definition of its columns, their types and what they mean."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

MADE, FAILED, DEFERRED = "made", "failed", "deferred"
"""Row status. ``failed``: the same inputs would fail again. ``deferred``: worth another try in the next run."""

STATUSES = (MADE, FAILED, DEFERRED)

IMAGE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
CONVERSATIONS = pa.list_(pa.struct([pa.field("from", pa.string()), pa.field("value", pa.string())]))
FACTS = pa.list_(pa.struct([pa.field("name", pa.string()), pa.field("value", pa.string())]))
STRINGS = pa.list_(pa.string())


@dataclass(frozen=True)
class Table:
    """A table: its columns, the column that identifies a row, and the columns whose values name a partition."""

    name: str
    description: str
    row_id: str
    partitioned_by: tuple[str, ...]
    columns: tuple[pa.Field, ...]
    added: frozenset[str] = frozenset()
    """Columns that files of earlier versions lack; they are read as null there."""

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with the metadata by which Hugging Face datasets decodes the pictures."""
        return pa.schema(
            self.columns, metadata={"huggingface": json.dumps({"info": {"features": dict(self._features())}})}
        )

    def _features(self) -> Iterator[tuple[str, Any]]:
        for column in self.columns:
            yield column.name, _feature(column.type)

    def description_of(self, column: str) -> str:
        """What ``column`` means."""
        metadata: Mapping[bytes, bytes] = self.schema.field(column).metadata or {}
        return metadata[b"description"].decode()

    def from_rows(self, rows: list[dict[str, Any]]) -> pa.Table:
        """Rows as an Arrow table of this schema.

        Raises:
            ValueError: a row lacks a column or has one the table does not know.
        """
        for row in rows:
            self._check(row)
        return pa.Table.from_pylist(rows, schema=self.schema)

    def from_row(self, row: dict[str, Any]) -> pa.RecordBatch:
        """One row; a record batch takes less than half of a table's time. Raises as :meth:`from_rows` does."""
        self._check(row)
        return pa.RecordBatch.from_pylist([row], schema=self.schema)

    def _check(self, row: dict[str, Any]) -> None:
        expected = set(self.schema.names)
        if row.keys() != expected:
            raise ValueError(
                f"{self.name}: row {row.get(self.row_id)!r}: missing {sorted(expected - row.keys())}, "
                f"unknown {sorted(row.keys() - expected)}"
            )


def _feature(kind: pa.DataType) -> Any:
    """The Hugging Face ``datasets`` feature of an Arrow type."""
    if kind == IMAGE:
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    names = {pa.float64(): "float64", pa.bool_(): "bool"}
    return {"dtype": names.get(kind, str(kind)), "_type": "Value"}


def _column(name: str, kind: pa.DataType, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": description})


_ABILITY = _column("ability", pa.string(), "Ability the row belongs to; the catalog has one YAML file an ability.")
_BATCH = _column("batch", pa.string(), "Batch within the ability, four digits from 0001.")
_ROW_KEY = _column(
    "row_key", pa.string(), "Hash of the inputs and settings that made the row; unchanged means not made again."
)
_STATUS = _column(
    "status", pa.string(), "made, failed (the same inputs would fail again) or deferred (tried again next run)."
)
_REASON = _column("reason", pa.string(), "Why a row is failed or deferred; null when made.")
_RUN_ID = _column("run_id", pa.string(), "Run that computed the row; rows taken over keep the run that made them.")
_TAIL = (_ROW_KEY, _STATUS, _REASON, _RUN_ID)

_ASKED_KIND = "what, yes_no, either_or, choice or open."
_QUESTION_KIND = "describe, what, yes_no, either_or, misleading, negative_presupposition, multi_turn."
_ASKED = (
    _column("model", pa.string(), "Chat model, as the endpoint names it; null where none was asked."),
    _column("prompt_tokens", pa.int64(), "Tokens sent: the row's share of its request; null where none was asked."),
    _column("completion_tokens", pa.int64(), "Tokens received: the row's share; null where none was asked."),
    _column("cost_usd", pa.float64(), "The row's share of the cost in US dollars; null where unknown, never a guess."),
    _column("request_id", pa.string(), "Request to the chat model, as in data/chat_ledger.sqlite; null where none."),
    _column(
        "example_ids",
        STRINGS,
        "In-context examples the model saw: the first 16 hex digits of the SHA-256 of each text; null where none was asked.",
    ),
)
"""What asking a chat model for a row came to. Shares of the rows of one request add up to what it cost."""

PROMPT_SPECS = Table(
    "prompt_specs",
    "What to paint: one text-to-image prompt a row, with the facts a picture of it must show.",
    "spec_id",
    ("ability", "batch"),
    (
        _column("spec_id", pa.string(), "Content hash of ability, batch, position and author."),
        _ABILITY,
        _BATCH,
        _column("prompt", pa.string(), "Comma-separated keywords, the subject first in double brackets."),
        _column("negative_prompt", pa.string(), "What the painter should avoid."),
        _column("subject", pa.string(), "The bracketed subject."),
        _column("keywords", STRINGS, "The keywords after the subject, in order."),
        _column(
            "facts",
            FACTS,
            "What the picture must show, by name: subject, answer, scene, style, placement; keyword: what was asked for.",
        ),
        _column("seed", pa.int64(), "Seed of the picture, derived from spec_id."),
        _column("author", pa.string(), "Author that wrote the prompt."),
        _column(
            "template_version",
            pa.string(),
            "Hash of the ability's vocabulary or guidance the prompt was made from, or of the source row.",
        ),
        *_ASKED,
        *_TAIL,
    ),
)

IMAGES = Table(
    "images",
    "One picture a painted prompt, in the layout Hugging Face datasets shows as pictures.",
    "image_id",
    ("ability", "batch"),
    (
        _column("image_id", pa.string(), "Content hash of spec_id and painter."),
        _column("spec_id", pa.string(), "The prompt that was painted."),
        _ABILITY,
        _BATCH,
        _column("image", IMAGE, "The encoded picture and the file name it goes by; null when not made."),
        _column("width", pa.int32(), "Width in pixels."),
        _column("height", pa.int32(), "Height in pixels."),
        _column("painter", pa.string(), "Painter that made the picture."),
        _column("model", pa.string(), "Model or artwork the painter used, with its version."),
        _column("steps", pa.int32(), "Denoising steps; null where the painter has none."),
        _column("guidance", pa.float64(), "Classifier-free guidance scale; null where the painter has none."),
        _column("seed", pa.int64(), "Seed the picture was painted with."),
        _column("sha256", pa.string(), "SHA-256 of the encoded picture, hex."),
        _column(
            "perceptual_hash", pa.string(), "Perceptual hash of the picture, hex; near pictures differ in few bits."
        ),
        _column("ignored_keywords", STRINGS, "Prompt keywords the painter did not act on."),
        _column(
            "digital_source_type",
            pa.string(),
            "IPTC digital source type: trainedAlgorithmicMedia, which the file says too (XMP), or compositeSynthetic; null when "
            "not made, or made before this was recorded.",
        ),
        _column(
            "cost_usd",
            pa.float64(),
            "US dollars that an endpoint was paid for the picture, tries that were no good included; null where none was "
            "asked, the price is unknown, or it was painted before this was recorded.",
        ),
        *_TAIL,
    ),
    added=frozenset({"cost_usd", "digital_source_type"}),
)

DIALOGUES = Table(
    "dialogues",
    "One conversation about a picture a row, in LLaVA's layout.",
    "pair_id",
    ("ability", "batch"),
    (
        _column("pair_id", pa.string(), "Content hash of the specs, the question kind and the author."),
        _ABILITY,
        _BATCH,
        _column("spec_ids", STRINGS, "Prompts the conversation is about, in the order of the <image> marks."),
        _column("image_ids", STRINGS, "Pictures the conversation is about, in the order of the <image> marks."),
        _column(
            "conversations",
            CONVERSATIONS,
            "Turns: from human or gpt, value with an <image> mark where the picture stands.",
        ),
        _column("question_kind", pa.string(), _QUESTION_KIND),
        _column(
            "expected", pa.string(), "What a right answer must contain: the asked word, yes or no; null where open."
        ),
        _column("author", pa.string(), "Author that wrote the dialogue."),
        *_ASKED,
        _column(
            "sees_picture",
            pa.bool_(),
            "Whether the chat model saw the picture, not its prompt alone; null where none was asked.",
        ),
        *_TAIL,
    ),
)

_VERDICT_COLUMNS = (
    _column("pair_id", pa.string(), "The dialogue that was judged."),
    _ABILITY,
    _BATCH,
    _column("spec_ids", STRINGS, "Prompts the conversation is about."),
    _column("image_ids", STRINGS, "Pictures the conversation is about."),
    _column("prompt", pa.string(), "Prompt of the first picture, for reading along."),
    _column("subject", pa.string(), "Subject of the first picture."),
    _column("conversations", CONVERSATIONS, "The conversation, as written."),
    _column("question_kind", pa.string(), _QUESTION_KIND),
    _column("expected", pa.string(), "What a right answer must contain; null where open."),
    _column("reasons", STRINGS, "Every reason against the pair, in the order of the filters; empty for a kept pair."),
    _column("explanations", STRINGS, "One sentence a reason: what was found, and where."),
    _column("notes", STRINGS, "What was found but rejects nothing under these settings: the rule, then a sentence."),
    _column("keyword_count", pa.int32(), "Keywords in the prompt."),
    _column("answer_words", pa.int32(), "Words in the longest answer."),
    _column(
        "subject_named", pa.bool_(), "Whether an answer names the subject; null where the kind does not ask for it."
    ),
    _column(
        "image_spread",
        pa.float64(),
        "Standard deviation of the picture's grey values (0 to 255); 0 is a blank picture.",
    ),
    _column("image_sha256", pa.string(), "SHA-256 of the first picture, by which later batches know it again."),
    _column("perceptual_hash", pa.string(), "Perceptual hash of the first picture, for the same purpose."),
    _column("nearest_pair_id", pa.string(), "The earlier pair this one repeats; null where none."),
    _ROW_KEY,
    _RUN_ID,
)

FILTERED_PAIRS = Table(
    "filtered_pairs",
    "The pairs every filter kept, with their scores.",
    "pair_id",
    ("ability", "batch"),
    _VERDICT_COLUMNS,
)

REJECTED_PAIRS = Table(
    "rejected_pairs",
    "The pairs at least one filter rejected, with every reason.",
    "pair_id",
    ("ability", "batch"),
    _VERDICT_COLUMNS,
)

ALIGNMENT_SCORES = Table(
    "alignment_scores",
    "How well a picture shows what its prompt asked for: a row a picture, scorer and claim; empty until filters.alignment is set.",
    "score_id",
    ("ability", "batch"),
    (
        _column("score_id", pa.string(), "Content hash of scorer, picture and fact."),
        _ABILITY,
        _BATCH,
        _column("spec_id", pa.string(), "The prompt whose claim was scored."),
        _column("image_id", pa.string(), "The picture that was scored."),
        _column("scorer", pa.string(), "clip (CLIPScore), vqa (VQAScore) or facts (a question a fact)."),
        _column("fact", pa.string(), "What of the prompt the claim is: prompt for all of it, or the name of a fact."),
        _column("claim", pa.string(), "What the picture must show."),
        _column("question", pa.string(), "What the model was asked; null where vectors are compared, or nobody asked."),
        _column("answer", pa.string(), "The answer whose probability is the score; null with the question."),
        _column(
            "model", pa.string(), "Model that scored: a name, or a checkpoint of llava_checkpoint; null where none."
        ),
        _column(
            "score",
            pa.float64(),
            "CLIPScore (0 to 2.5), or a probability (0 to 1); null where not scored.",
        ),
        *_TAIL,
    ),
)

ABILITY_BENCHMARK = Table(
    "ability_benchmark",
    "Held-out questions: one question about one picture a row, with the keywords that count as right.",
    "item_id",
    ("ability",),
    (
        _column("item_id", pa.string(), "Content hash of the picture's prompt and the question."),
        _column("benchmark", pa.string(), "Which benchmark: ai (painted pictures) or photos (real photographs)."),
        _ABILITY,
        _column("question_kind", pa.string(), _ASKED_KIND),
        _column(
            "prompt",
            pa.string(),
            "Prompt of the picture; training pairs with this prompt are contamination. Null for a photograph.",
        ),
        _column("image", IMAGE, "The encoded picture."),
        _column("perceptual_hash", pa.string(), "Perceptual hash of the picture, hex."),
        _column("seed", pa.int64(), "Seed the picture was painted with; null for a photograph."),
        _column("question", pa.string(), "The question, in a wording training never uses."),
        _column("options", STRINGS, "The offered answers of an either-or question or a choice, in order; else empty."),
        _column("accepted", STRINGS, "Keywords of which a right answer contains one."),
        _column(
            "refused", STRINGS, "Keywords that make an answer wrong: the other option, or the opposite of yes or no."
        ),
        *_TAIL,
    ),
)

LLAVA_CHECKPOINT = Table(
    "llava_checkpoint",
    "One tuned model a row, the current one last: where it lies, what it was made from, how its training went.",
    "checkpoint_id",
    (),
    (
        _column("checkpoint_id", pa.string(), "Content hash of the pairs, the pictures and the settings."),
        _column("path", pa.string(), "Folder of the tuned model, relative to the data folder."),
        _column(
            "base_path", pa.string(), "Model it started from: a folder relative to the data folder, or a hub name."
        ),
        _column("model", pa.string(), "Model family the profile names."),
        _column("pairs", pa.int64(), "Training pairs."),
        _column("images", pa.int64(), "Different training pictures."),
        _column("parameters", pa.int64(), "Trained parameters."),
        _column("settings", pa.string(), "Tuning settings, as JSON."),
        _column(
            "loss_curve", pa.list_(pa.struct([("step", pa.int32()), ("loss", pa.float64())])), "Training loss by step."
        ),
        _column("seconds", pa.float64(), "Wall time of the tuning, without the base."),
        _column("created_at", pa.timestamp("us", tz="UTC"), "When the tuning ended."),
        _RUN_ID,
    ),
)

ABILITY_ANSWERS = Table(
    "ability_answers",
    "One answer of one model to one benchmark question a row, so that every score can be traced.",
    "answer_id",
    ("checkpoint_id",),
    (
        _column("answer_id", pa.string(), "Content hash of checkpoint, model, item and rotation."),
        _column("checkpoint_id", pa.string(), "The tuned model of this comparison."),
        _column("model", pa.string(), "base or tuned."),
        _column("benchmark", pa.string(), "Which benchmark the item is from: ai, photos, or a published one's name."),
        _column(
            "ability",
            pa.string(),
            "Ability that is measured; of a published benchmark its split, category or capabilities (joined by +).",
        ),
        _column("item_id", pa.string(), "The benchmark item."),
        _column("question_kind", pa.string(), _ASKED_KIND),
        _column("question", pa.string(), "The question asked."),
        _column("answer", pa.string(), "What the model said."),
        _column("accepted", STRINGS, "Keywords of which a right answer contains one."),
        _column(
            "correct", pa.bool_(), "Whether the answer is right by keywords; a judge's verdict is in answer_judgements."
        ),
        *_TAIL,
        _column("rotation", pa.int32(), "How far the options of a choice were rotated; null otherwise."),
        _column("options", STRINGS, "The options as offered; null where there were none."),
        _column("refused", STRINGS, "Keywords that make an answer wrong; null in rows of earlier versions."),
    ),
    added=frozenset({"rotation", "options", "refused"}),
)

ANSWER_JUDGEMENTS = Table(
    "answer_judgements",
    "What a chat model thinks of an answer, a row an answer; empty until benchmark.judge is set.",
    "judgement_id",
    ("checkpoint_id",),
    (
        _column("judgement_id", pa.string(), "Content hash of the answer's id and the judge."),
        _column("checkpoint_id", pa.string(), "The tuned model of this comparison."),
        _column("answer_id", pa.string(), "The answer that was judged."),
        _column("answered_by", pa.string(), "base or tuned."),
        _column("benchmark", pa.string(), "Which benchmark the item is from."),
        _column("item_id", pa.string(), "The benchmark item."),
        _column("question_kind", pa.string(), _ASKED_KIND),
        _column("grade", pa.float64(), "How right the answer is, 0 to 1 in tenths; null where not judged."),
        _column("correct", pa.bool_(), "Whether the grade is 0.5 or more; null where not judged."),
        _column("by_keywords", pa.bool_(), "What the keywords say of the same answer."),
        _column("explanation", pa.string(), "The judge's reason; null where not judged."),
        _column("prompt_version", pa.string(), "Version of the judge's instructions, with a hash of their text."),
        *_ASKED[:-1],
        *_TAIL,
    ),
)

ABILITY_SCORES = Table(
    "ability_scores",
    "Accuracy of the base and the tuned model, an ability and a question kind a row.",
    "score_id",
    ("checkpoint_id",),
    (
        _column("score_id", pa.string(), "Content hash of checkpoint, model, benchmark, ability and kind."),
        _column("checkpoint_id", pa.string(), "The tuned model of this comparison."),
        _column("model", pa.string(), "base or tuned."),
        _column("benchmark", pa.string(), "Which benchmark was answered."),
        _column("ability", pa.string(), "Ability; of a published benchmark its split, category or capability; or all."),
        _column("question_kind", pa.string(), "what, yes_no, either_or, choice, open, or all."),
        _column("n", pa.int64(), "Items asked."),
        _column("correct", pa.int64(), "Items answered right; a choice counts only if it is right in every rotation."),
        _column("accuracy", pa.float64(), "correct / n."),
        _column("interval_low", pa.float64(), "Lower bound of the 95 % Wilson score interval."),
        _column("interval_high", pa.float64(), "Upper bound of the 95 % Wilson score interval."),
        _column("p_value", pa.float64(), "Exact McNemar test of base against tuned over the same items."),
        _column(
            "difference",
            pa.float64(),
            "Accuracy of tuned minus that of base over the items both answered; null where there are none.",
        ),
        _column("difference_low", pa.float64(), "Lower bound of its 95 % interval (Bonett and Price)."),
        _column("difference_high", pa.float64(), "Upper bound of its 95 % interval."),
        _column(
            "p_holm",
            pa.float64(),
            "p_value corrected by Holm over the abilities of the same benchmark and question kind; a sum over all abilities is "
            "a test of its own.",
        ),
        _column(
            "verdict",
            pa.string(),
            "better or worse where p_holm is below 0.05, else no difference shown; it is about tuned, and stands in base's row too.",
        ),
        _RUN_ID,
        _column("precision", pa.float64(), "Of the yes-no answers that say yes, the share that is right; else null."),
        _column("recall", pa.float64(), "Of the yes-no questions to be answered yes, the share that was; else null."),
        _column("f1", pa.float64(), "Harmonic mean of precision and recall; null where not a yes-no row."),
        _column("yes_ratio", pa.float64(), "Share of the yes-no answers that say yes; null where not a yes-no row."),
        _column("undecided", pa.int64(), "Yes-no answers that say neither, which are wrong; else null."),
        _column("mean_grade", pa.float64(), "Mean grade (0 to 1) of the judged answers; null where none was judged."),
        _column("unscored", pa.int64(), "Items that the judge has not answered for; they are not in n."),
    ),
    added=frozenset(
        {
            *("difference", "difference_low", "difference_high", "p_holm", "verdict"),
            *("precision", "recall", "f1", "yes_ratio", "undecided", "mean_grade", "unscored"),
        }
    ),
)

BATCH_PLANS = Table(
    "batch_plans",
    "How many prompts each ability gets in a batch and why, recorded when the batch was planned; only with planning.",
    "plan_id",
    ("batch",),
    (
        _column("plan_id", pa.string(), "Content hash of batch and ability."),
        _BATCH,
        _ABILITY,
        _column("checkpoint_id", pa.string(), "Tuned model whose scores were used; null where nothing was scored."),
        _column("n", pa.int64(), "Benchmark questions that model was asked."),
        _column("correct", pa.int64(), "Questions it answered right."),
        _column("accuracy", pa.float64(), "correct / n; null where nothing was asked."),
        _column(
            "lower_bound", pa.float64(), "Lower bound of the 95 % Wilson score interval; 0 where nothing was asked."
        ),
        _column("dialogues", pa.int64(), "Dialogues of earlier batches that went through the filters."),
        _column("kept", pa.int64(), "Pairs of them that were kept."),
        _column("filter_yield", pa.float64(), "kept / dialogues; null where nothing was filtered."),
        _column(
            "weight", pa.float64(), "What the ability lacks, over its yield; null where the batch was not weighed."
        ),
        _column("rows_per_batch", pa.int64(), "Prompts a batch that the profile asked for at the time."),
        _column("rows", pa.int64(), "Prompts planned for the ability."),
        _column("explanation", pa.string(), "One sentence: why so many."),
        _RUN_ID,
    ),
)

TABLES: tuple[Table, ...] = (
    PROMPT_SPECS,
    IMAGES,
    DIALOGUES,
    FILTERED_PAIRS,
    REJECTED_PAIRS,
    ALIGNMENT_SCORES,
    ABILITY_BENCHMARK,
    LLAVA_CHECKPOINT,
    ABILITY_ANSWERS,
    ANSWER_JUDGEMENTS,
    ABILITY_SCORES,
    BATCH_PLANS,
)
