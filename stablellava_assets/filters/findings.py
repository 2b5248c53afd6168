"""The filter rules by name, and the findings they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from stablellava_assets.tables.findings import RepeatRule

RowRule = Literal[
    "cut_off_prompt",
    "unbalanced_brackets",
    "stray_prompt_text",
    "repeated_keyword",
    "too_many_keywords",
    "prompt_too_long",
    "turns_malformed",
    "image_marks_mismatch",
    "empty_answer",
    "answer_markup",
    "answer_too_long",
    "stray_spaces",
    "no_final_punctuation",
    "hedged_answer",
    "question_gives_answer",
    "answer_not_offered",
    "subject_not_named",
    "subject_partly_named",
    "expected_missing",
    "broken_image",
    "blank_image",
    "low_clip_score",
    "low_vqa_score",
    "fact_not_shown",
    "alignment_unscored",
    "out_of_order",
    "same_image",
    "several_differences",
    "thing_is_shown",
]
"""Rules that judge a pair on its own. Their findings are reused while the pair and the settings stay the same."""

BenchmarkRule = Literal["contaminated_prompt", "contaminated_image", "benchmark_question"]
"""Rules that compare a pair with benchmarks. They are evaluated on every run."""

BatchRule = Literal["answerable_without_picture"]
"""Rules that compare a pair with all others of its batch. They are evaluated on every run, because their quotas count
the kept pairs."""

RuleName = RowRule | BenchmarkRule | RepeatRule | BatchRule
ALWAYS_NOTED: tuple[RuleName, ...] = ("alignment_unscored", "benchmark_question")
"""Rules that never reject, whatever the settings say. An image that could not be scored is let through, and a question
that a published benchmark asks as well ("Is there a dog in the image?") reveals nothing
without its image. Both are recorded.
"""

ROW_RULES: tuple[RowRule, ...] = get_args(RowRule)


class Finding(NamedTuple):
    """One sentence that explains a rule violation, and the id of the earlier pair that is repeated, if any."""

    rule: RuleName
    explanation: str
    pair_id: str | None = None


def of_pair(of_images: Sequence[Iterable[Finding]]) -> list[Finding]:
    """Findings on each image of a pair, or on its prompt, as findings on the pair: one per rule, which says of which
    image it is if there are several."""
    if len(of_images) == 1:
        return list(of_images[0])
    found: dict[str, Finding] = {}
    for number, findings in enumerate(of_images, 1):
        for each in findings:
            explanation = f"Picture {number}: {each.explanation[0].lower()}{each.explanation[1:]}"
            found.setdefault(each.rule, each._replace(explanation=explanation))
    return list(found.values())


def quoted(words: Iterable[str]) -> str:
    """Words for an explanation: quoted and separated by commas."""
    return ", ".join(map(repr, words))
