"""The schema of every table: the only definition of its columns, their types and what they mean."""

from __future__ import annotations

import pyarrow as pa

from stablellava_assets.tables.table import CONVERSATIONS, FACTS, IMAGE, STRINGS, Table, column

MADE, FAILED, DEFERRED = "made", "failed", "deferred"
"""Row status. ``failed``: the same inputs would fail again. ``deferred``: worth another try in the next run."""

STATUSES = (MADE, FAILED, DEFERRED)

OF_ROW, OF_SETTING, OF_ENDPOINT = "row", "setting", "endpoint"
"""Whose fault it is that a row was not made. ``row``: it would fail again. ``setting``: it may be made once a setting is
changed. ``endpoint``: it may be made next time.
"""

_ABILITY = column("ability", pa.string(), "Ability the row belongs to; the catalog has one YAML file an ability.")
_BATCH = column("batch", pa.string(), "Batch within the ability, four digits from 0001.")
_ROW_KEY = column(
    "row_key", pa.string(), "Hash of the inputs and settings that made the row; unchanged means not made again."
)
_STATUS = column(
    "status", pa.string(), "made, failed (the same inputs would fail again) or deferred (tried again next run)."
)
_REASON = column("reason", pa.string(), "Why a row is failed or deferred; null when made.")
_RUN_ID = column("run_id", pa.string(), "Run that computed the row; rows taken over keep the run that made them.")
_TAIL = (_ROW_KEY, _STATUS, _REASON, _RUN_ID)
_BLAME = (
    column(
        "fault",
        pa.string(),
        "Whose fault it is that the row is not made: row (it stays failed), setting (tried again once the settings are changed) "
        "or endpoint (tried again next run); null when made, and in rows of earlier versions.",
    ),
    column(
        "settings_key",
        pa.string(),
        "Hash of the settings with which a row failed by a setting; null otherwise.",
    ),
)
"""Why asking an endpoint came to nothing, for programs."""
_BLAMED = frozenset(field.name for field in _BLAME)

_ASKED_KIND = "what, yes_no, either_or, choice or open."
_QUESTION_KIND = "describe, what, yes_no, either_or, misleading, negative_presupposition, multi_turn."
_ASKED = (
    column("model", pa.string(), "Chat model, as the endpoint names it; null where none was asked."),
    column("prompt_tokens", pa.int64(), "Tokens sent: the row's share of its request; null where none was asked."),
    column("completion_tokens", pa.int64(), "Tokens received: the row's share; null where none was asked."),
    column("cost_usd", pa.float64(), "The row's share of the cost in US dollars; null where unknown, never a guess."),
    column("request_id", pa.string(), "Request to the chat model, as in data/chat_ledger.sqlite; null where none."),
    column(
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
        column("spec_id", pa.string(), "Content hash of ability, batch, position and author."),
        _ABILITY,
        _BATCH,
        column("prompt", pa.string(), "Comma-separated keywords, the subject first in double brackets."),
        column("negative_prompt", pa.string(), "What the painter should avoid."),
        column("subject", pa.string(), "The bracketed subject."),
        column("keywords", STRINGS, "The keywords after the subject, in order."),
        column(
            "facts",
            FACTS,
            "What the picture must show, by name: subject, answer, scene, style, placement; keyword: what was asked for.",
        ),
        column("seed", pa.int64(), "Seed of the picture, derived from spec_id."),
        column("author", pa.string(), "Author that wrote the prompt."),
        column(
            "template_version",
            pa.string(),
            "Hash of the ability's vocabulary or guidance the prompt was made from, or of the source row.",
        ),
        *_ASKED,
        *_TAIL,
        *_BLAME,
    ),
    added=_BLAMED,
    optional=_BLAMED,
)

IMAGES = Table(
    "images",
    "One picture a painted prompt, in the layout Hugging Face datasets shows as pictures.",
    "image_id",
    ("ability", "batch"),
    (
        column("image_id", pa.string(), "Content hash of spec_id and painter."),
        column("spec_id", pa.string(), "The prompt that was painted."),
        _ABILITY,
        _BATCH,
        column("image", IMAGE, "The encoded picture and the file name it goes by; null when not made."),
        column("width", pa.int32(), "Width in pixels."),
        column("height", pa.int32(), "Height in pixels."),
        column(
            "software",
            pa.string(),
            "This software and its version when it made the row; null where that was before this was recorded.",
        ),
        column("painter", pa.string(), "Painter that made the picture."),
        column("model", pa.string(), "Model or artwork the painter used, with its version."),
        column("steps", pa.int32(), "Denoising steps; null where the painter has none."),
        column("guidance", pa.float64(), "Classifier-free guidance scale; null where the painter has none."),
        column(
            "scheduler",
            pa.string(),
            "Sampler of the denoising steps, as diffusers calls it; null where the painter has none.",
        ),
        column(
            "negative_prompt", pa.string(), "What the picture was painted against; null where the painter takes none."
        ),
        column("seed", pa.int64(), "Seed the picture was painted with."),
        column("sha256", pa.string(), "SHA-256 of the encoded picture, hex."),
        column(
            "perceptual_hash", pa.string(), "Perceptual hash of the picture, hex; near pictures differ in few bits."
        ),
        column("ignored_keywords", STRINGS, "Prompt keywords the painter did not act on."),
        column(
            "digital_source_type",
            pa.string(),
            "IPTC digital source type: trainedAlgorithmicMedia, which the file says too (XMP), or compositeSynthetic; null when "
            "not made, or made before this was recorded.",
        ),
        column(
            "cost_usd",
            pa.float64(),
            "US dollars that an endpoint was paid for the picture, tries that were no good included; null where none was "
            "asked, the price is unknown, or it was painted before this was recorded.",
        ),
        *_TAIL,
        *_BLAME,
    ),
    added=frozenset({"cost_usd", "digital_source_type", "negative_prompt", "scheduler", "software"}) | _BLAMED,
    optional=_BLAMED,
)

DIALOGUES = Table(
    "dialogues",
    "One conversation about a picture a row, in LLaVA's layout.",
    "pair_id",
    ("ability", "batch"),
    (
        column("pair_id", pa.string(), "Content hash of the specs, the question kind and the author."),
        _ABILITY,
        _BATCH,
        column("spec_ids", STRINGS, "Prompts the conversation is about, in the order of the <image> marks."),
        column("image_ids", STRINGS, "Pictures the conversation is about, in the order of the <image> marks."),
        column(
            "conversations",
            CONVERSATIONS,
            "Turns: from human or gpt, value with an <image> mark where the picture stands.",
        ),
        column("question_kind", pa.string(), _QUESTION_KIND),
        column(
            "expected", pa.string(), "What a right answer must contain: the asked word, yes or no; null where open."
        ),
        column("author", pa.string(), "Author that wrote the dialogue."),
        *_ASKED,
        column(
            "sees_picture",
            pa.bool_(),
            "Whether the chat model saw the picture, not its prompt alone; null where none was asked.",
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
    column("spec_ids", STRINGS, "Prompts the conversation is about."),
    column("image_ids", STRINGS, "Pictures the conversation is about."),
    column("prompt", pa.string(), "Prompt of the first picture, for reading along."),
    column("subject", pa.string(), "Subject of the first picture."),
    column("conversations", CONVERSATIONS, "The conversation, as written."),
    column("question_kind", pa.string(), _QUESTION_KIND),
    column("expected", pa.string(), "What a right answer must contain; null where open."),
    column("reasons", STRINGS, "Every reason against the pair, in the order of the filters; empty for a kept pair."),
    column("explanations", STRINGS, "One sentence a reason: what was found, and where."),
    column("notes", STRINGS, "What was found but rejects nothing under these settings: the rule, then a sentence."),
    column("keyword_count", pa.int32(), "Keywords in the prompt."),
    column("answer_words", pa.int32(), "Words in the longest answer."),
    column(
        "subject_named", pa.bool_(), "Whether an answer names the subject; null where the kind does not ask for it."
    ),
    column(
        "image_spread",
        pa.float64(),
        "Standard deviation of the picture's grey values (0 to 255); 0 is a blank picture.",
    ),
    column("image_sha256", pa.string(), "SHA-256 of the first picture, by which later batches know it again."),
    column("perceptual_hash", pa.string(), "Perceptual hash of the first picture, for the same purpose."),
    column("nearest_pair_id", pa.string(), "The earlier pair this one repeats; null where none."),
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
        column("score_id", pa.string(), "Content hash of scorer, picture and fact."),
        _ABILITY,
        _BATCH,
        column("spec_id", pa.string(), "The prompt whose claim was scored."),
        column("image_id", pa.string(), "The picture that was scored."),
        column("scorer", pa.string(), "clip (CLIPScore), vqa (VQAScore) or facts (a question a fact)."),
        column("fact", pa.string(), "What of the prompt the claim is: prompt for all of it, or the name of a fact."),
        column("claim", pa.string(), "What the picture must show."),
        column("question", pa.string(), "What the model was asked; null where vectors are compared, or nobody asked."),
        column("answer", pa.string(), "The answer whose probability is the score; null with the question."),
        column(
            "model", pa.string(), "Model that scored: a name, or a checkpoint of llava_checkpoint; null where none."
        ),
        column(
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
        column("item_id", pa.string(), "Content hash of the picture's prompt and the question."),
        column("benchmark", pa.string(), "Which benchmark: ai (painted pictures) or photos (real photographs)."),
        _ABILITY,
        column("question_kind", pa.string(), _ASKED_KIND),
        column(
            "prompt",
            pa.string(),
            "Prompt of the picture; training pairs with this prompt are contamination. Null for a photograph.",
        ),
        column("image", IMAGE, "The encoded picture."),
        column("perceptual_hash", pa.string(), "Perceptual hash of the picture, hex."),
        column("seed", pa.int64(), "Seed the picture was painted with; null for a photograph."),
        column("question", pa.string(), "The question, in a wording training never uses."),
        column("options", STRINGS, "The offered answers of an either-or question or a choice, in order; else empty."),
        column("accepted", STRINGS, "Keywords of which a right answer contains one."),
        column(
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
        column("checkpoint_id", pa.string(), "Content hash of the pairs, the pictures and the settings."),
        column("path", pa.string(), "Folder of the tuned model, relative to the data folder."),
        column("base_path", pa.string(), "Model it started from: a folder relative to the data folder, or a hub name."),
        column("model", pa.string(), "Model family the profile names."),
        column("pairs", pa.int64(), "Training pairs."),
        column("images", pa.int64(), "Different training pictures."),
        column("parameters", pa.int64(), "Trained parameters."),
        column("settings", pa.string(), "Tuning settings, as JSON."),
        column(
            "loss_curve", pa.list_(pa.struct([("step", pa.int32()), ("loss", pa.float64())])), "Training loss by step."
        ),
        column("seconds", pa.float64(), "Wall time of the tuning, without the base."),
        column("created_at", pa.timestamp("us", tz="UTC"), "When the tuning ended."),
        _RUN_ID,
        column("pairs_key", pa.string(), "Content hash of the kept pairs; null in rows of earlier versions."),
    ),
    added=frozenset({"pairs_key"}),
)

ABILITY_ANSWERS = Table(
    "ability_answers",
    "One answer of one model to one benchmark question a row, so that every score can be traced.",
    "answer_id",
    ("checkpoint_id",),
    (
        column("answer_id", pa.string(), "Content hash of checkpoint, model, item and rotation."),
        column("checkpoint_id", pa.string(), "The tuned model of this comparison."),
        column("model", pa.string(), "base or tuned."),
        column("benchmark", pa.string(), "Which benchmark the item is from: ai, photos, or a published one's name."),
        column(
            "ability",
            pa.string(),
            "Ability that is measured; of a published benchmark its split, category or capabilities (joined by +).",
        ),
        column("item_id", pa.string(), "The benchmark item."),
        column("question_kind", pa.string(), _ASKED_KIND),
        column("question", pa.string(), "The question asked."),
        column("answer", pa.string(), "What the model said."),
        column("accepted", STRINGS, "Keywords of which a right answer contains one."),
        column(
            "correct", pa.bool_(), "Whether the answer is right by keywords; a judge's verdict is in answer_judgements."
        ),
        *_TAIL,
        column("rotation", pa.int32(), "How far the options of a choice were rotated; null otherwise."),
        column("options", STRINGS, "The options as offered; null where there were none."),
        column("refused", STRINGS, "Keywords that make an answer wrong; null in rows of earlier versions."),
        column("picture", pa.string(), "Content hash of the picture; null in rows of earlier versions."),
    ),
    added=frozenset({"rotation", "options", "refused", "picture"}),
)

ANSWER_JUDGEMENTS = Table(
    "answer_judgements",
    "What a chat model thinks of an answer, a row an answer; empty until benchmark.judge is set.",
    "judgement_id",
    ("checkpoint_id",),
    (
        column("judgement_id", pa.string(), "Content hash of the answer's id and the judge."),
        column("checkpoint_id", pa.string(), "The tuned model of this comparison."),
        column("answer_id", pa.string(), "The answer that was judged."),
        column("answered_by", pa.string(), "base or tuned."),
        column("benchmark", pa.string(), "Which benchmark the item is from."),
        column("item_id", pa.string(), "The benchmark item."),
        column("question_kind", pa.string(), _ASKED_KIND),
        column("grade", pa.float64(), "How right the answer is, 0 to 1 in tenths; null where not judged."),
        column("correct", pa.bool_(), "Whether the grade is 0.5 or more; null where not judged."),
        column("by_keywords", pa.bool_(), "What the keywords say of the same answer."),
        column("explanation", pa.string(), "The judge's reason; null where not judged."),
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
    "Accuracy of the base and the tuned model, an ability and a question kind a row.",
    "score_id",
    ("checkpoint_id",),
    (
        column("score_id", pa.string(), "Content hash of checkpoint, model, benchmark, ability and kind."),
        column("checkpoint_id", pa.string(), "The tuned model of this comparison."),
        column("model", pa.string(), "base or tuned."),
        column("benchmark", pa.string(), "Which benchmark was answered."),
        column("ability", pa.string(), "Ability; of a published benchmark its split, category or capability; or all."),
        column("question_kind", pa.string(), "what, yes_no, either_or, choice, open, or all."),
        column("n", pa.int64(), "Items asked."),
        column("correct", pa.int64(), "Items answered right; a choice counts only if it is right in every rotation."),
        column("accuracy", pa.float64(), "correct / n."),
        column("interval_low", pa.float64(), "Lower bound of the 95 % Wilson score interval."),
        column("interval_high", pa.float64(), "Upper bound of the 95 % Wilson score interval."),
        column(
            "p_value",
            pa.float64(),
            "Exact McNemar test of base against tuned over the same items; over pictures where some were asked about twice.",
        ),
        column(
            "difference",
            pa.float64(),
            "Accuracy of tuned minus that of base over the items both answered; null where there are none.",
        ),
        column("difference_low", pa.float64(), "Lower bound of its 95 % interval (Bonett and Price)."),
        column("difference_high", pa.float64(), "Upper bound of its 95 % interval."),
        column(
            "p_holm",
            pa.float64(),
            "p_value corrected by Holm over the abilities of the same benchmark and question kind; a sum over all abilities is "
            "a test of its own.",
        ),
        column(
            "verdict",
            pa.string(),
            "better or worse where p_holm is below 0.05, else no difference shown; it is about tuned, and stands in base's row too.",
        ),
        _RUN_ID,
        column("precision", pa.float64(), "Of the yes-no answers that say yes, the share that is right; else null."),
        column("recall", pa.float64(), "Of the yes-no questions to be answered yes, the share that was; else null."),
        column("f1", pa.float64(), "Harmonic mean of precision and recall; null where not a yes-no row."),
        column("yes_ratio", pa.float64(), "Share of the yes-no answers that say yes; null where not a yes-no row."),
        column("undecided", pa.int64(), "Yes-no answers that say neither, which are wrong; else null."),
        column("mean_grade", pa.float64(), "Mean grade (0 to 1) of the judged answers; null where none was judged."),
        column("unscored", pa.int64(), "Items that the judge has not answered for; they are not in n."),
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
    "How many prompts each ability gets in a batch and why, recorded when its batch was first asked for; only with planning.",
    "plan_id",
    ("batch",),
    (
        column("plan_id", pa.string(), "Content hash of batch and ability."),
        _BATCH,
        _ABILITY,
        column("checkpoint_id", pa.string(), "Tuned model whose scores were used; null where nothing was scored."),
        column("n", pa.int64(), "Benchmark questions that model was asked."),
        column("correct", pa.int64(), "Questions it answered right."),
        column("accuracy", pa.float64(), "correct / n; null where nothing was asked."),
        column(
            "lower_bound", pa.float64(), "Lower bound of the 95 % Wilson score interval; 0 where nothing was asked."
        ),
        column("dialogues", pa.int64(), "Dialogues of earlier batches that went through the filters."),
        column("kept", pa.int64(), "Pairs of them that were kept."),
        column("filter_yield", pa.float64(), "kept / dialogues; null where nothing was filtered."),
        column("weight", pa.float64(), "What the ability lacks, over its yield; null where it was not weighed."),
        column("rows_per_batch", pa.int64(), "Prompts a batch that the profile asked for at the time."),
        column("rows", pa.int64(), "Prompts planned for the ability."),
        column("explanation", pa.string(), "Why so many, as it was told when the batch was planned."),
        _RUN_ID,
        column(
            "benchmark", pa.string(), "Benchmark whose scores were used; null where an earlier version summed over all."
        ),
        column("least", pa.int64(), "Prompts that min_factor allowed at least; null in rows of earlier versions."),
        column("most", pa.int64(), "Prompts that max_factor allowed at most; null in rows of earlier versions."),
        column(
            "begun",
            pa.bool_(),
            "Whether the prompts were there before the plan, which then kept their number; null in rows of earlier versions.",
        ),
    ),
    added=frozenset({"benchmark", "least", "most", "begun"}),
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
