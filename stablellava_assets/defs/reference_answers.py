"""Asks reference models for the ``ability_scores`` asset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import dagster as dg

from stablellava_assets.defs.stage import Stage
from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets.evaluation.answers.answer_rows import Question, rescored
from stablellava_assets.evaluation.answers.pictures import ItemPicture, PublishedPictures
from stablellava_assets.evaluation.answers.references import ask_reference, plan_reference_answers, unasked
from stablellava_assets.evaluation.settings import ReferenceSettings
from stablellava_assets.state.sql import StatePlace
from stablellava_assets.tables.rows import PlannedRow, Refreshed
from stablellava_assets.tables.schemas import REFERENCE_ANSWERS
from stablellava_assets.tables.score_rows import ItemToAsk, ReferenceAnswer
from stablellava_assets.tables.store import Partition


def reference_answers(
    references: Sequence[ReferenceSettings],
    ledger: StatePlace,
    stage: Stage,
    partition: Partition,
    items: Sequence[ItemToAsk],
    pictures: Mapping[str, Sequence[ItemPicture]],
    published: PublishedPictures,
    refusals: list[str],
    log: dg.DagsterLogManager,
) -> Refreshed | None:
    """The answers of the reference models, one model after the other; None if the profile has none.

    If a model cannot be asked with its settings, ``refusals`` gets the reason, and its remaining answers are deferred.

    Raises:
        dagster.Failure: a model cannot be asked at all, as without a key; nothing was sent.
    """
    if not references:
        return None
    (checkpoint_id,) = partition
    planned = [row for one in references for row in plan_reference_answers(checkpoint_id, one, items, pictures)]

    def ask_all(missing: Sequence[PlannedRow[Question]]) -> Iterable[ReferenceAnswer]:
        asked = [(one, [row for row in missing if row.inputs.columns["model"] == one.title]) for one in references]
        endpoints = [(one, rows, _endpoint(one, ledger)) for one, rows in asked if rows]
        with published.copied({row.inputs.columns["item_id"] for row in missing}):
            for one, rows, endpoint in endpoints:
                answered: set[str] = set()
                try:
                    for answer in ask_reference(rows, one, endpoint, log.info):
                        answered.add(answer["answer_id"])
                        yield answer
                except EndpointError as error:
                    refusals.append(
                        f"{_setting(one)}: {error}. The scores are published; those of {one.title} lack its answers."
                    )
                    yield from unasked((row for row in rows if row.row_id not in answered), str(error))

    answers = rescored(stage.refresh(partition, planned, ask_all, REFERENCE_ANSWERS), planned, REFERENCE_ANSWERS)
    _tell_gaps(REFERENCE_ANSWERS.rows(answers.data), log)
    return answers


def _endpoint(settings: ReferenceSettings, ledger: StatePlace) -> ChatEndpoint:
    endpoint = ChatEndpoint(settings.endpoint, ledger)
    try:
        endpoint.check()
    except EndpointError as error:
        raise dg.Failure(description=f"{_setting(settings)}: {error}", allow_retries=False) from error
    return endpoint


def _setting(settings: ReferenceSettings) -> str:
    return f"benchmark.references ({settings.title})"


def _tell_gaps(rows: Sequence[ReferenceAnswer], log: dg.DagsterLogManager) -> None:
    """Warn of questions without an answer, with an example of each reason."""
    asked = Counter(row["model"] for row in rows)
    without = Counter((row["model"], row["reason"]) for row in rows if row["answer"] is None)
    for (model, reason), count in without.items():
        item = next(row["item_id"] for row in rows if (row["model"], row["reason"]) == (model, reason))
        log.warning(
            f"reference model {model}: {count} of {asked[model]} answers are missing, as of item {item}: {reason}"
        )
