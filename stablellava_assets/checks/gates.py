"""Gates: named expectations about a table, evaluated by Great Expectations before rows are published."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import Field

from stablellava_assets.checks.reasons import commonest_reasons, on_one_line, plain
from stablellava_assets.inputs.yaml_documents import Document
from stablellava_assets.tables.schemas import OF_BUDGET
from stablellava_assets.tables.table import AnyTable

if TYPE_CHECKING:
    import pandas as pd

_LONGEST_VALUE = 60
_EXAMPLES = 2
_FEWEST_ANSWERS = 10
"""Minimum number of yes and no answers to measure their balance."""


class GateSettings(Document):
    """Thresholds of the checks that a partition must pass; shares of its rows, 0 to 1."""

    allow_empty: bool = Field(False, description="Whether a batch may be empty, such as one beyond the end of a file.")
    min_made_prompts: float = Field(0.95, ge=0, le=1)
    min_made_images: float = Field(0.95, ge=0, le=1)
    min_different_pictures: float = Field(
        0.95,
        ge=0,
        le=1,
        description=(
            "Share of the images that must differ from all others; set it lower if rows share images "
            "(painter.repeated_prompts: once)."
        ),
    )
    min_made_dialogues: float = Field(0.95, ge=0, le=1)
    min_kept_pairs: float = Field(
        0.5, ge=0, le=1, description="Minimum filter yield; a lower one points to an upstream problem."
    )
    min_subject_entropy: float = Field(
        0.5,
        ge=0,
        le=1,
        description=(
            "Minimum evenness of a batch's subjects: their entropy divided by that of as many equally frequent ones "
            "(at least ten)."
        ),
    )
    max_top_subject_share: float = Field(0.5, gt=0, le=1, description="Maximum share of prompts with the same subject.")
    min_vendi_score: float = Field(
        6.0,
        ge=1,
        description=(
            "Minimum effective number of different prompts in a batch of 50 or more; the built-in abilities have 18 "
            "or more."
        ),
    )
    min_question_kind_shares: dict[str, float] = Field(
        {}, description="Kind of question -> its minimum share of the conversations, 0 to 1."
    )
    max_question_kind_share: float = Field(
        1.0, gt=0, le=1, description="Maximum share of conversations with the same kind of question."
    )
    min_answer_length_spread: float = Field(
        0.25,
        ge=0,
        description="Minimum standard deviation of the answer lengths in words, measured for 10 answers or more.",
    )
    max_hedged_share: float = Field(
        0.25, ge=0, le=1, description="Maximum share of kept pairs with a hedged answer (filters.dialogue.hedges)."
    )
    max_not_shown_share: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Maximum share of conversations about something that the image does not show (kind not_shown).",
    )
    max_guess_surplus: float = Field(
        0.15,
        ge=0,
        le=1,
        description=(
            "How far a guess from the text alone may exceed chance in benchmark questions about several images (the "
            "lower bound of its accuracy's 95 % interval)."
        ),
    )
    max_yes_surplus: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="Maximum distance of the share of yes from one half, measured for 10 questions or more.",
    )


@dataclass(frozen=True)
class Gate:
    """One expectation. ``arguments`` may depend on the profile's settings; ``measure`` names
    the measure of the suite, if any."""

    name: str
    description: str
    expectation: str
    arguments: Callable[[GateSettings], Mapping[str, object]]
    measure: str | None = None
    names_reasons: bool = False
    """Whether it concerns rows that record a reason for not being made or kept."""
    unmeasured_message: str = "too few rows to tell"
    """Message of the check if there is too little data."""


@dataclass(frozen=True)
class Suite:
    """The gates of a table, how its rows become the frame that they check, and measures of the frame as a whole.

    The measures are a frame of one row. A measure that is None, for example for too few rows, is skipped.
    """

    table: AnyTable
    gates: tuple[Gate, ...]
    add_columns: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame
    measure: Callable[[pd.DataFrame, GateSettings], Mapping[str, float | None]] = lambda frame, settings: {}


@dataclass(frozen=True)
class GateResult:
    """The result of a gate. ``observed`` is a short text; ``value`` is the number to plot, to
    four decimals, if it is numeric."""

    gate: str
    passed: bool
    observed: str
    value: float | None = None
    description: str = ""

    @property
    def message(self) -> str:
        """The observed value and the expectation of a failed gate, with the name of its setting."""
        return f"{self.observed} ({self.description.rstrip('.')})" if self.description else self.observed


class GateError(RuntimeError):
    """An expectation could not be evaluated: a bug in the suite, not a problem of the data."""


def validate(suite: Suite, data: pa.Table, settings: GateSettings) -> list[GateResult]:
    """Check the rows against the suite, in the order of its gates.

    Raises:
        GateError: an expectation raised instead of passing or failing.
    """
    import pandas as pd

    rows = suite.add_columns(_without_deferred(data.select(suite.table.without_images).to_pandas()))
    measures = {name: value for name, value in suite.measure(rows, settings).items() if value is not None}
    arguments = {
        gate: gate.arguments(settings) for gate in suite.gates if gate.measure is None or gate.measure in measures
    }
    of_rows = {gate: given for gate, given in arguments.items() if given.get("column") not in measures}
    of_whole = {gate: given for gate, given in arguments.items() if gate not in of_rows}
    # Great Expectations pickles the whole frame twice to identify it.
    named = {value for given in of_rows.values() for key, value in given.items() if key.startswith("column")}
    rows = rows[[name for name in rows.columns if name in {*named, "status", suite.table.row_id}]]
    results = _evaluate(suite.table, of_rows, rows)
    if of_whole:
        results |= _evaluate(suite.table, of_whole, pd.DataFrame([measures]))
    return [
        _with_reasons(gate, results[gate], suite, data) if gate in results else _unmeasured(gate)
        for gate in suite.gates
    ]


def _evaluate(
    table: AnyTable, gates: Mapping[Gate, Mapping[str, object]], frame: pd.DataFrame
) -> dict[Gate, GateResult]:
    """The results of the gates, with their arguments, on the frame."""
    import great_expectations as gx

    expectations = [
        getattr(gx.expectations, gate.expectation)(meta={"gate": gate.name}, **given) for gate, given in gates.items()
    ]
    outcome = (
        _frames(table.name)
        .get_batch(batch_parameters={"dataframe": frame})
        .validate(
            gx.ExpectationSuite(name=table.name, expectations=expectations),
            result_format={"result_format": "SUMMARY", "unexpected_index_column_names": [table.row_id]},
        )
    )
    results = {result.expectation_config.meta["gate"]: result for result in outcome.results}
    return {gate: _read(gate, results[gate.name], _bounds(given), table.row_id) for gate, given in gates.items()}


def _with_reasons(gate: Gate, result: GateResult, suite: Suite, data: pa.Table) -> GateResult:
    """A failed result with the most common reasons recorded in the rows."""
    reasons = commonest_reasons(suite.table, data) if gate.names_reasons and not result.passed else None
    if reasons is None:
        return result
    counted = result.observed.partition(", for example")[0]
    return replace(result, observed=f"{counted}; {reasons}")


def _bounds(given: Mapping[str, object]) -> str:
    least, most = given.get("min_value"), given.get("max_value")
    named = [f"at least {plain(least)}"] if least is not None else []
    return " and ".join([*named, *([f"at most {plain(most)}"] if most is not None else [])])


def _unmeasured(gate: Gate) -> GateResult:
    return GateResult(gate.name, True, gate.unmeasured_message)


def _without_deferred(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds ``owed_status``, which is null for rows deferred by the budget: these do not count as failures."""
    if "status" not in frame:
        return frame
    owed = frame["status"].mask(frame["fault"] == OF_BUDGET) if "fault" in frame else frame["status"]
    return frame.assign(owed_status=owed)


@cache
def _context() -> Any:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


@cache
def _frames(table: str) -> Any:
    source = _context().data_sources.add_pandas(table)
    return source.add_dataframe_asset(table).add_batch_definition_whole_dataframe("rows")


def _read(gate: Gate, result: Any, bounds: str, row_id: str) -> GateResult:
    raised = result.exception_info
    # One exception is reported flat, exceptions of metrics under the metric's name.
    reports = [raised] if "raised_exception" in raised else list(raised.values())
    for report in reports:
        if report["raised_exception"]:
            raise GateError(f"gate {gate.name!r} could not be evaluated: {report['exception_message']}")
    found = result.result
    value = found.get("observed_value")
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    number = round(float(value), 4) if is_number else None
    if "observed_value" in found:
        observed = plain(value)
        if not result.success and bounds:
            observed += f", and should be {bounds}"
    elif "unexpected_count" in found:
        rows = found.get("partial_unexpected_index_list") or []
        examples = ", ".join(list(dict.fromkeys(_named(row, row_id) for row in rows))[:_EXAMPLES])
        observed = f"{found['unexpected_count']} of {found['element_count']} rows"
        observed += f", for example {examples}" if examples else ""
    else:
        observed = "as expected" if result.success else "not as expected"
    return GateResult(gate.name, bool(result.success), observed, number, gate.description)


def _named(row: Mapping[str, object], row_id: str) -> str:
    """A row's id, with the invalid value."""
    wrong = ", ".join(_shown(name, value) for name, value in row.items() if name != row_id)
    return f"{str(row[row_id])[:12]} ({wrong})" if wrong else str(row[row_id])[:12]


def _shown(name: str, value: object) -> str:
    is_missing = value is None or value != value or value == ""  # Not a number is unlike itself.
    return f"no {name}" if is_missing else f"{name} {on_one_line(plain(value))[:_LONGEST_VALUE]}"


def always(**arguments: object) -> Callable[[GateSettings], Mapping[str, object]]:
    """Arguments that do not depend on settings."""
    return lambda settings: arguments


def unique_ids(table: AnyTable) -> Gate:
    """Row ids are unique."""
    return Gate(
        "ids_are_unique",
        f"No two rows share {table.row_id}.",
        "ExpectColumnValuesToBeUnique",
        always(column=table.row_id),
    )


def has_rows() -> Gate:
    """There is at least one row."""
    return Gate(
        "has_rows",
        "The partition is not empty.",
        "ExpectTableRowCountToBeBetween",
        lambda settings: {"min_value": 0 if settings.allow_empty else 1},
    )


def enough_made(setting: str) -> Gate:
    """At least the fraction in ``setting`` of the rows was made."""
    return Gate(
        "enough_rows_made",
        f"At least the profile's gates.{setting} of the rows were made; rows deferred by the budget do not count.",
        "ExpectColumnValuesToBeInSet",
        lambda settings: {"column": "owed_status", "value_set": ["made"], "mostly": getattr(settings, setting)},
        names_reasons=True,
    )


def reasons_given() -> Gate:
    """Every row is made or has a reason."""
    return Gate(
        "reasons_are_given",
        "Every row that was not made has a reason.",
        "ExpectColumnValuesToNotBeNull",
        always(column="reason", row_condition='status != "made"', condition_parser="pandas"),
    )


def at_least(name: str, description: str, measure: str, setting: str) -> Gate:
    """The suite's ``measure`` is at least gates.``setting`` of the profile."""
    return _measured(
        name, f"{description} is at least the profile's gates.{setting}.", "Min", measure, "min_value", setting
    )


def at_most(name: str, description: str, measure: str, setting: str) -> Gate:
    """The suite's ``measure`` is at most gates.``setting`` of the profile."""
    return _measured(
        name, f"{description} is at most the profile's gates.{setting}.", "Max", measure, "max_value", setting
    )


def _measured(name: str, description: str, end: str, measure: str, bound: str, setting: str) -> Gate:
    # Minimum and maximum of a constant column are its value, which is then reported as a number.
    return Gate(
        name,
        description,
        f"ExpectColumn{end}ToBeBetween",
        lambda settings: {"column": measure, bound: getattr(settings, setting)},
        measure,
    )


def question_kinds() -> tuple[Gate, Gate]:
    """Question kinds match the quotas, by the measures ``quota_met`` and ``top_kind_share``."""
    return (
        Gate(
            "question_kinds_meet_quotas",
            "Every kind of question has at least its share in the profile's gates.min_question_kind_shares (1 or more "
            "means met).",
            "ExpectColumnMinToBeBetween",
            always(column="quota_met", min_value=1.0),
            "quota_met",
        ),
        at_most(
            "no_question_kind_dominates",
            "The share of the most frequent kind of question",
            "top_kind_share",
            "max_question_kind_share",
        ),
    )


def few_not_shown() -> Gate:
    """Questions about what is not shown are few (measure ``not_shown_share``)."""
    return at_most(
        "few_things_are_not_shown",
        "The share of questions about something that the image does not show",
        "not_shown_share",
        "max_not_shown_share",
    )


def yes_and_no_balance() -> Gate:
    """Yes and no answers are balanced (column ``yes_surplus``). A model trained mostly on yes learns to say yes."""
    return Gate(
        "yes_and_no_balance",
        "Half of the yes-no questions have the answer yes, within the profile's gates.max_yes_surplus.",
        "ExpectColumnValuesToBeBetween",
        lambda settings: {
            "column": "yes_surplus",
            "min_value": -settings.max_yes_surplus,
            "max_value": settings.max_yes_surplus,
        },
    )


def yes_surplus(answers: Sequence[object]) -> float:
    """The fraction of yes among the yes and no ``answers``, minus one half; 0 if there are too few."""
    yes, no = answers.count("yes"), answers.count("no")
    return yes / (yes + no) - 0.5 if yes + no >= _FEWEST_ANSWERS else 0.0


def count_by_gate(results: Sequence[Sequence[GateResult]]) -> dict[str, list[GateResult]]:
    """Results of several partitions, grouped by gate."""
    gathered: dict[str, list[GateResult]] = {}
    for of_partition in results:
        for result in of_partition:
            gathered.setdefault(result.gate, []).append(result)
    return gathered
