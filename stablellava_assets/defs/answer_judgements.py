"""Judges answers for the ``ability_scores`` asset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dagster as dg

from stablellava_assets.defs.stage import Stage
from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets.evaluation.answers.answer_rows import Question
from stablellava_assets.evaluation.scores.judging import is_judged, judge_answers, plan_judgements, ungraded
from stablellava_assets.evaluation.settings import JudgeSettings
from stablellava_assets.state.sql import StatePlace
from stablellava_assets.tables.rows import PlannedRow, Refreshed
from stablellava_assets.tables.schemas import ANSWER_JUDGEMENTS
from stablellava_assets.tables.score_rows import AbilityAnswer, AnswerJudgement
from stablellava_assets.tables.store import Partition


def check_judge(settings: JudgeSettings | None, ledger: StatePlace, asked: Sequence[PlannedRow[Question]]) -> None:
    """Check the judge's settings before the models are asked, which may take hours.

    Raises:
        dagster.Failure: the judge cannot be used with these settings.
    """
    if settings is None or not any(is_judged(row.inputs.columns, settings) for row in asked):
        return
    try:
        ChatEndpoint(settings.endpoint, ledger).check()
    except EndpointError as error:
        raise dg.Failure(description=f"benchmark.judge: {error}", allow_retries=False) from error


def judge(
    settings: JudgeSettings | None,
    ledger: StatePlace,
    stage: Stage,
    partition: Partition,
    answers: Sequence[AbilityAnswer],
    refusals: list[str],
    log: dg.DagsterLogManager,
) -> Refreshed | None:
    """The judgements of the answers; None if the profile has no judge.

    If the judge cannot be used with these settings, ``refusals`` gets the reason, and the
    remaining judgements are deferred.
    """
    if settings is None:
        return None
    planned = plan_judgements(answers, settings)

    def judge_all(missing: Sequence[PlannedRow[AbilityAnswer]]) -> Iterable[AnswerJudgement]:
        endpoint = ChatEndpoint(settings.endpoint, ledger)
        graded: set[str] = set()
        try:
            for row in judge_answers(missing, settings, endpoint, log.info):
                graded.add(row["judgement_id"])
                yield row
        except EndpointError as error:
            refusals.append(f"benchmark.judge: {error}. The scores are published; those that need a grade lack it.")
            yield from ungraded((row for row in missing if row.row_id not in graded), str(error))

    return stage.refresh(partition, planned, judge_all, ANSWER_JUDGEMENTS)
