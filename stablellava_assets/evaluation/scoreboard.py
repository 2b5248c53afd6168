"""Score tables, one per benchmark with one row per ability: base and tuned model side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from stablellava_assets.abilities.ability import QUESTION_KINDS
from stablellava_assets.evaluation.benchmark import PAINTED
from stablellava_assets.evaluation.kinds import (
    ASKED_KINDS,
    BLIND,
    COMPARED,
    CONTROLS,
    CONTROLS_OF_SEVERAL,
    is_reference,
)
from stablellava_assets.evaluation.photographs.items import PHOTOGRAPHS
from stablellava_assets.evaluation.scores.agreement import agreement
from stablellava_assets.evaluation.scores.power import WANTED_GAIN
from stablellava_assets.evaluation.scores.verdicts import ALL, could_not_show
from stablellava_assets.tables.score_rows import AnswerJudgement, JudgedScore
from stablellava_assets.text.tables import number_text, table

Line = tuple[str, ...]
ScoreT = TypeVar("ScoreT", bound=JudgedScore)
NO_PHOTOGRAPHS = (
    "There are no real photographs: these are scores on synthesized images only. "
    "Set benchmark.photographs to add some (docs/measuring.md)."
)
_HEADER = ("ability", "n", "base", "tuned", "95 % of tuned", "p (Holm)", "could show", "verdict")
_REFERENCE_HEADER = (
    *("reference model", "ability", "n", "unanswered", "accuracy", "95 %"),
    *("tuned minus it", "p (Holm)", "could show", "tuned is"),
)
CONTROLS_TITLE = "other images"
_TOO_FEW = "†"
_YES_NO_HEADER = ("yes-no questions", "model", "accuracy", "precision", "recall", "F1", "yes ratio", "undecided")


def by_benchmark(scores: Iterable[ScoreT]) -> dict[str, list[ScoreT]]:
    """Group scores by benchmark: synthesized images first, then photographs, then published benchmarks by name."""
    rows: dict[str, list[ScoreT]] = {}
    for row in scores:
        rows.setdefault(row["benchmark"], []).append(row)
    order = {PAINTED: 0, PHOTOGRAPHS: 1}
    return dict(sorted(rows.items(), key=lambda item: (order.get(item[0], 2), item[0])))


def scoreboard(scores: Sequence[JudgedScore], *, markdown: bool, wanted_gain: float = WANTED_GAIN) -> str:
    """Tables of one checkpoint's ``ability_scores`` rows; the last columns are the tuned
    model's score per question kind.

    A verdict that could not have shown ``wanted_gain`` says so. The total comes last, followed by controls,
    reference models and the figures of yes-no questions. If no photographs were used, the last line says so.
    ``markdown`` selects Markdown tables instead of aligned text for a terminal.
    """
    parts: list[str] = []
    benchmarks = by_benchmark(scores)
    for benchmark, rows in benchmarks.items():
        if len(benchmarks) > 1 or benchmark != PAINTED:
            parts.append(_heading(benchmark, rows))
        parts.append(_accuracies(rows, wanted_gain, markdown=markdown))
        if controls := control_table(rows, every_ability=False):
            parts.append(table(*controls, markdown=markdown, rules=(0,)))
        if found := blind_line(rows):
            parts.append(found)
        if references := reference_table(rows, wanted_gain):
            parts.append(table(*references, markdown=markdown, rules=(0,)))
        if figures := _yes_no_figures(rows):
            parts.append(table(_YES_NO_HEADER, figures, markdown=markdown, rules=(0,)))
    if any(could_not_show(row, wanted_gain) for row in scores if row["question_kind"] == ALL):
        parts.append(f"{_TOO_FEW} too few items to show {wanted_gain:+g} (benchmark.wanted_gain).")
    if PHOTOGRAPHS not in benchmarks:
        parts.append(NO_PHOTOGRAPHS)
    return "\n\n".join(parts)


def blind_line(scores: Sequence[JudgedScore]) -> str:
    """The abilities and kinds of one benchmark in which the tuned model does better than chance without any image."""
    found = [
        f"{row['ability']} {row['question_kind']} ({row['accuracy']:.2f}, chance {row['chance']:.2f})"
        for row in scores
        if row["model"] == BLIND and ALL not in (row["ability"], row["question_kind"])
        if row["chance"] is not None and row["interval_low"] > row["chance"]
    ]
    return f"Better than chance without any image: {', '.join(found)}." if found else ""


def control_table(scores: Sequence[JudgedScore], *, every_ability: bool) -> tuple[Line, list[Line]] | None:
    """Header and lines of one benchmark's controls: in total, then of every ability or of those about several images;
    None without any. Where answers were graded, the mean points of five come last, and the base has lines as well.
    """
    by_key = {(row["model"], row["ability"], row["question_kind"]): row for row in scores}
    shown = CONTROLS if every_ability else CONTROLS_OF_SEVERAL
    of_all = [ALL] if (BLIND, ALL, ALL) in by_key else []
    abilities = [*of_all, *sorted({row["ability"] for row in scores if row["model"] in shown} - {ALL})]
    if not abilities:
        return None
    of_abilities = [row for row in scores if row["ability"] in abilities]
    kinds = [kind for kind in ASKED_KINDS if any(row["question_kind"] == kind for row in of_abilities)]
    graded = any(row.get("mean_points") is not None for row in of_abilities)
    header = (CONTROLS_TITLE, "model", "n", "accuracy", *kinds, *(("points of 5",) if graded else ()))
    lines = []
    for ability in abilities:
        for model in (*(("base",) if graded else ()), "tuned", *CONTROLS):
            if total := by_key.get((model, ability, ALL)):
                of_kinds = [_share(by_key.get((model, ability, kind))) for kind in kinds]
                points = (number_text(total["mean_points"]),) if graded else ()
                lines.append((_named(ability), model, str(total["n"]), _share(total), *of_kinds, *points))
    return header, lines


def verdict_text(row: JudgedScore, wanted_gain: float) -> str:
    """The verdict, with a mark if there were too few items to show a gain; empty in scores of an earlier version."""
    return f"{row['verdict'] or ''}{f' {_TOO_FEW}' if could_not_show(row, wanted_gain) else ''}"


def gain_text(row: JudgedScore) -> str:
    """The smallest gain that could have been shown; empty in scores of an earlier version."""
    if row.get("effective_items") is None:
        return ""
    return "none" if row["detectable_gain"] is None else f"+{row['detectable_gain']:.3f}"


def reference_table(scores: Sequence[JudgedScore], wanted_gain: float = WANTED_GAIN) -> tuple[Line, list[Line]] | None:
    """Header and lines of the reference models in one benchmark, each with its abilities and its total; None without
    any. The verdict is on the tuned model, over the items that both answered; it says if it could not have shown
    ``wanted_gain``.
    """
    of_references = [row for row in scores if is_reference(row["model"])]
    if not of_references:
        return None
    by_key = {(row["model"], row["ability"], row["question_kind"]): row for row in of_references}
    kinds = [kind for kind in ASKED_KINDS if any(row["question_kind"] == kind for row in of_references)]
    totals = sorted(
        (row for row in of_references if row["question_kind"] == ALL),
        key=lambda row: (row["model"], row["ability"] == ALL, row["ability"]),
    )
    lines = [
        (
            row["model"],
            _named(row["ability"]),
            str(row["n"]),
            str(row["unscored"] or 0),
            _share(row),
            f"{row['interval_low']:.3f} to {row['interval_high']:.3f}",
            "" if row["difference"] is None else f"{row['difference']:+.3f}",
            p_value_text(row["p_holm"]),
            gain_text(row),
            verdict_text(row, wanted_gain),
            *(_share(by_key.get((row["model"], row["ability"], kind))) for kind in kinds),
        )
        for row in totals
    ]
    return (*_REFERENCE_HEADER, *kinds), lines


def judge_line(judgements: Sequence[AnswerJudgement]) -> str:
    """How many answers the judge graded and how far it agrees with the keywords, in a sentence or two."""
    found = agreement(judgements)
    waiting = sum(row["grade"] is None for row in judgements)
    versions = ", ".join(sorted({row["prompt_version"] for row in judgements}))
    if found is None:
        return f"The judge (instructions {versions}) has not graded any of {waiting} answers."
    kappa = "undefined" if found.kappa is None else f"{found.kappa:.2f}"
    missing = f" {waiting} answers have no grade and are not counted." if waiting else ""
    return (
        f"The judge (instructions {versions}) graded {found.n} answers and agrees with the keywords on {found.raw:.1%} "
        f"of them, Cohen's kappa {kappa}.{missing}"
    )


def _heading(benchmark: str, rows: Sequence[JudgedScore]) -> str:
    unscored = max(row.get("unscored") or 0 for row in rows if not is_reference(row["model"]))
    missing = f" ({unscored} items without a grade are left out)" if unscored else ""
    name = {PAINTED: "synthesized images (ai)", PHOTOGRAPHS: "real photographs (photos)"}.get(benchmark, benchmark)
    return f"Benchmark: {name}{missing}"


def _accuracies(rows: Sequence[JudgedScore], wanted_gain: float, *, markdown: bool) -> str:
    by_key = {(row["model"], row["ability"], row["question_kind"]): row for row in rows}
    asked = {row["question_kind"] for row in rows}
    # The synthesized benchmark has all kinds, so an empty column there shows that something is missing.
    painted = all(row.get("benchmark", PAINTED) == PAINTED for row in rows)
    kinds = [kind for kind in ASKED_KINDS if (kind in QUESTION_KINDS if painted else kind in asked)]
    graded = any(row.get("mean_grade") is not None for row in rows)
    controls = (BLIND,) if any(row["model"] == BLIND for row in rows) else ()
    header = (*_HEADER, *controls, *kinds, *(("mean grade",) if graded else ()))
    abilities = [*sorted({row["ability"] for row in rows} - {ALL}), ALL]
    lines = [_line(by_key, ability, controls, kinds, wanted_gain, graded=graded) for ability in abilities]
    return table(header, lines, markdown=markdown, rules=(0, len(lines) - 1))


def _line(
    by_key: Mapping[tuple[str, str, str], JudgedScore],
    ability: str,
    controls: Sequence[str],
    kinds: Sequence[str],
    wanted_gain: float,
    *,
    graded: bool,
) -> Line:
    base, tuned = by_key.get(("base", ability, ALL)), by_key.get(("tuned", ability, ALL))
    of_kinds = [
        *(by_key.get((control, ability, ALL)) for control in controls),
        *(by_key.get(("tuned", ability, kind)) for kind in kinds),
    ]
    if tuned is None:
        nothing = ("" for _ in (*_HEADER[4:], *of_kinds, *(("",) if graded else ())))
        return (_named(ability), "0", _share(base), "", *nothing)
    return (
        _named(ability),
        str(tuned["n"]),
        _share(base),
        _share(tuned),
        f"{tuned['interval_low']:.3f} to {tuned['interval_high']:.3f}",
        p_value_text(tuned["p_holm"]),
        gain_text(tuned),
        verdict_text(tuned, wanted_gain),
        *map(_share, of_kinds),
        *((number_text(tuned["mean_grade"]),) if graded else ()),
    )


def _yes_no_figures(rows: Sequence[JudgedScore]) -> list[Line]:
    asked = [row for row in rows if row["question_kind"] == "yes_no"]
    abilities = sorted({row["ability"] for row in asked} - {ALL})
    # POPE reports by split; the few yes-no questions of an ability are not enough for precision.
    few = all(row["benchmark"] in (PAINTED, PHOTOGRAPHS) for row in asked)
    shown = [ALL] if few else abilities if len(abilities) == 1 else [*abilities, ALL]
    by_key = {(row["ability"], row["model"]): row for row in asked}
    models = [*COMPARED, *sorted({row["model"] for row in asked if is_reference(row["model"])})]
    return [
        (
            "all" if ability == ALL else ability,
            model,
            _share(row),
            *map(number_text, (row["precision"], row["recall"], row["f1"], row["yes_ratio"])),
            str(row["undecided"]),
        )
        for ability in shown
        for model in models
        if (row := by_key.get((ability, model))) is not None
    ]


def _named(ability: str) -> str:
    return "all abilities" if ability == ALL else ability


def _share(row: JudgedScore | None) -> str:
    return "" if row is None else f"{row['accuracy']:.3f}"


def p_value_text(p: float | None) -> str:
    """A p-value as text; empty if there is none, as in scores that an earlier version stored."""
    if p is None:
        return ""
    if p < 1e-99:
        return "<1e-99"
    return f"{p:.0e}" if p < 0.001 else f"{p:.3f}"
