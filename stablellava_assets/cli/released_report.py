"""Statistics of StableLLaVA's published files: repeats, broken prompts, careless answers, unnamed subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from stablellava_assets.abilities.prompt_format import parse_prompt
from stablellava_assets.authors.released.rows import is_written_out, problem_of, read_released, released_files
from stablellava_assets.filters.rules.dialogue_rules import check_answers
from stablellava_assets.filters.rules.prompt_rules import check_prompt
from stablellava_assets.filters.rules.subject_rules import check_naming
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.text.tables import aligned_table
from stablellava_assets.text.word_forms import lemmas


@dataclass(frozen=True)
class ReleasedCounts:
    """Statistics of a file; numbers of rows unless stated otherwise."""

    file: str
    rows: int
    unusable: int
    """Rows that the released author records as failed. Rows with missing or empty fields are not counted below."""
    unique_prompts: int
    """Distinct prompts."""
    repeated_prompts: int
    """Rows with the prompt of an earlier row."""
    repeated_pairs: int
    """Rows with the prompt and answer of an earlier row."""
    unbalanced_brackets: int
    cut_off_prompts: int
    """Prompts that end with a comma, an unfinished tag, or inside brackets."""
    stray_spaces: int
    no_full_stop: int
    hedged: int
    subjects: int
    """Distinct subjects with closed brackets."""
    subjects_ignoring_case: int
    not_verbatim: int
    """Answers that do not contain the subject, ignoring case."""
    not_without_hyphens: int
    """... nor with hyphens replaced by spaces."""
    not_by_lemma: int
    """... nor with words reduced to their lemmas, which maps plurals to singulars."""
    off_subject: int
    """... nor share any stem or known other name with it: those that the filters reject."""


def inspect_released(folder: Path, settings: FilterSettings | None = None) -> list[ReleasedCounts]:
    """Statistics of every ``*.json`` in ``folder``; the last row is the total.

    Prompts and subjects are distinct within a file; the total is the sum over files.

    Raises:
        ReleasedDataError: there is no such folder or file, or a file is not a JSON list.
    """
    of_files = [_count(path, settings or FilterSettings()) for path in released_files(folder)]
    sums = {
        field.name: sum(getattr(counts, field.name) for counts in of_files)
        for field in fields(ReleasedCounts)
        if field.name != "file"
    }
    return [*of_files, ReleasedCounts(file="total", **sums)]


def released_table(report: Sequence[ReleasedCounts]) -> str:
    """The report as aligned text: one row per statistic, one column per file."""
    lines = [
        [field.name.replace("_", " "), *(f"{getattr(counts, field.name):,}" for counts in report)]
        for field in fields(ReleasedCounts)
        if field.name != "file"
    ]
    return aligned_table(["", *(counts.file for counts in report)], lines)


def _count(path: Path, settings: FilterSettings) -> ReleasedCounts:
    everything = read_released(path)
    rows = [row for row in everything if is_written_out(row)]
    prompts = [row["prompt"] for row in rows]
    closed = [parse_prompt(prompt).subject for prompt in prompts if prompt.count("(") <= prompt.count(")")]
    rules = [_rules_broken(row, settings) for row in rows]
    naming = [_steps_missed(row) for row in rows]
    unique = len(set(prompts))
    return ReleasedCounts(
        file=path.name,
        rows=len(everything),
        unusable=sum(problem_of(row) is not None for row in everything),
        unique_prompts=unique,
        repeated_prompts=len(rows) - unique,
        repeated_pairs=len(rows) - len({(row["prompt"], row["answer"]) for row in rows}),
        unbalanced_brackets=sum("unbalanced_brackets" in broken for broken in rules),
        cut_off_prompts=sum("cut_off_prompt" in broken for broken in rules),
        stray_spaces=sum("stray_spaces" in broken for broken in rules),
        no_full_stop=sum("no_final_punctuation" in broken for broken in rules),
        hedged=sum("hedged_answer" in broken for broken in rules),
        subjects=len(set(closed)),
        subjects_ignoring_case=len({subject.casefold() for subject in closed}),
        not_verbatim=sum(missed >= 1 for missed in naming),
        not_without_hyphens=sum(missed >= 2 for missed in naming),
        not_by_lemma=sum(missed >= 3 for missed in naming),
        off_subject=sum("subject_not_named" in broken for broken in rules),
    )


def _rules_broken(row: dict[str, str], settings: FilterSettings) -> set[str]:
    return {
        finding.rule
        for findings in (
            check_prompt(row["prompt"], settings.prompt),
            check_answers([row["answer"]], settings.dialogue),
            check_naming(parse_prompt(row["prompt"]).subject, row["answer"], settings.dialogue),
        )
        for finding in findings
    }


def _steps_missed(row: dict[str, str]) -> int:
    """How many of three increasingly lenient comparisons fail to find the subject in the answer: 0 to 3."""
    subject, answer = parse_prompt(row["prompt"]).subject.casefold(), row["answer"].casefold()
    if subject in answer:
        return 0
    if subject.replace("-", " ") in answer.replace("-", " "):
        return 1
    return 2 if f" {' '.join(lemmas(subject))} " in f" {' '.join(lemmas(answer))} " else 3
