"""The types of rows say of every table's columns what its schema says."""

from __future__ import annotations

import types
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NotRequired, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
import pytest

from stablellava_assets.defs.pretrained_checkpoint import KeptPair
from stablellava_assets.evaluation.answers.answer_rows import EarlierAnswer
from stablellava_assets.exports.huggingface import DATASET
from stablellava_assets.exports.preference import PREFERENCES
from stablellava_assets.filters.benchmark_fingerprints import ItemToAvoid
from stablellava_assets.filters.review.borderline import MeasuredVerdict, ScoredStatement
from stablellava_assets.tables.pair_rows import (
    ComparedPair,
    DialogueToJudge,
    ImageToJudge,
    PaintedImage,
    PromptToPaint,
    SpecToJudge,
    Written,
    WrittenSpec,
)
from stablellava_assets.tables.reading import was_written
from stablellava_assets.tables.schemas import (
    ABILITY_ANSWERS,
    ABILITY_BENCHMARK,
    ALIGNMENT_SCORES,
    DEFERRED,
    DIALOGUES,
    FAILED,
    FILTERED_PAIRS,
    IMAGES,
    LLAVA_CHECKPOINT,
    MADE,
    PROMPT_SPECS,
    TABLES,
)
from stablellava_assets.tables.score_rows import CheckpointFolders
from stablellava_assets.tables.table import AnyTable, columns_of, rows_of
from stablellava_assets_tests.tables.made_up import but
from stablellava_assets_tests.tables.rows_of import spec

PLAIN = {pa.string(): str, pa.binary(): bytes, pa.bool_(): bool, pa.float64(): float, pa.int32(): int, pa.int64(): int}


def without_none(kind: Any) -> Any:
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    (rest,) = [option for option in get_args(kind) if option is not type(None)]
    return rest


def differences(kind: Any, arrow: pa.DataType, where: str) -> Iterator[str]:
    """Where a type and Arrow's disagree, whatever may be null."""
    kind = without_none(kind)
    if isinstance(arrow, pa.ListType):
        if get_origin(kind) is not list:
            yield f"{where}: {kind} is no list"
        else:
            yield from differences(get_args(kind)[0], arrow.value_type, f"{where}[]")
    elif isinstance(arrow, pa.StructType):
        fields = get_type_hints(kind)
        if list(fields) != [field.name for field in arrow]:
            yield f"{where}: {kind} has {list(fields)}"
        for field in arrow:
            yield from differences(fields.get(field.name), field.type, f"{where}.{field.name}")
    elif kind is not (datetime if pa.types.is_timestamp(arrow) else PLAIN[arrow]):
        yield f"{where}: {kind} is not {arrow}"


def may_be_null(table: AnyTable, column: str) -> bool:
    return column in table.added or "null" in table.description_of(column).casefold().replace("nullable", "")


@pytest.mark.parametrize("table", [*TABLES, DATASET, PREFERENCES], ids=lambda table: table.name)
def test_a_row_has_the_columns_of_its_table(table: AnyTable) -> None:
    hints = get_type_hints(table.row_type)
    assert set(hints) == set(table.schema.names)
    found = [said for name, kind in hints.items() for said in differences(kind, table.schema.field(name).type, name)]
    assert found == []


@pytest.mark.parametrize("table", [*TABLES, DATASET, PREFERENCES], ids=lambda table: table.name)
def test_what_may_be_null_is_what_the_description_says(table: AnyTable) -> None:
    hints = get_type_hints(table.row_type)
    nullable = {name for name, kind in hints.items() if without_none(kind) is not kind}
    assert nullable == {name for name in hints if may_be_null(table, name)}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_only_what_is_filled_in_may_be_left_out(table: AnyTable) -> None:
    with_extras = get_type_hints(table.row_type, include_extras=True)
    left_out = {name for name, kind in with_extras.items() if get_origin(kind) is NotRequired}
    assert left_out <= table.optional | {"run_id"}
    assert left_out >= table.optional


@pytest.mark.parametrize(
    ("few", "table"),
    [
        *((few, PROMPT_SPECS) for few in (PromptToPaint, WrittenSpec, SpecToJudge, Written)),
        *((few, IMAGES) for few in (PaintedImage, ImageToJudge)),
        *((few, DIALOGUES) for few in (DialogueToJudge, Written)),
        *((few, FILTERED_PAIRS) for few in (ComparedPair, MeasuredVerdict, KeptPair)),
        (ItemToAvoid, ABILITY_BENCHMARK),
        (CheckpointFolders, LLAVA_CHECKPOINT),
        (EarlierAnswer, ABILITY_ANSWERS),
        (ScoredStatement, ALIGNMENT_SCORES),
    ],
)
def test_a_type_of_few_columns_is_that_of_the_table_less_what_a_made_row_fills(few: Any, table: AnyTable) -> None:
    whole = get_type_hints(table.row_type)
    for name, kind in get_type_hints(few).items():
        assert kind in (whole[name], without_none(whole[name])), name


def test_rows_come_back_as_they_were() -> None:
    rows = [but(spec(0), run_id="run", fault=None, settings_key=None, group_id=None, image_number=None)]
    data = PROMPT_SPECS.from_rows(rows)
    assert PROMPT_SPECS.rows(data) == rows
    (few,) = rows_of(PromptToPaint, data.select(columns_of(PromptToPaint)))
    assert few == {name: rows[0][name] for name in columns_of(PromptToPaint)}


def test_a_prompt_that_was_not_made_is_none_to_write_about() -> None:
    assert [was_written(spec(0, status=status)) for status in (MADE, FAILED, DEFERRED)] == [True, False, False]
