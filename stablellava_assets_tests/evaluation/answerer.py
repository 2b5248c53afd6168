"""A process that answers questions about pictures into a journal, to be killed and started again.

``python -m stablellava_assets_tests.evaluation.answerer <checkpoint> <folder of the journal>``
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from stablellava_assets.evaluation.answers.answer_rows import ask_model, plan_answers
from stablellava_assets.evaluation.answers.pictures import held_pictures
from stablellava_assets.evaluation.suites.items import suite_item
from stablellava_assets.evaluation.suites.pictures import Picture
from stablellava_assets.tables.journal import RowJournal
from stablellava_assets.tables.rows import AnyPlanned, Refreshed, refresh_together
from stablellava_assets.tables.schemas import ABILITY_ANSWERS
from stablellava_assets.tables.score_rows import AbilityAnswer
from stablellava_assets_tests.tables.made_up import Row
from stablellava_assets_tests.tuning.tiny import COLORS, picture

QUESTIONS = 40


def planned(checkpoint: Path) -> list[AnyPlanned]:
    """What the base is asked."""
    items = [
        suite_item(
            "own",
            "color",
            number,
            kind="what",
            question="What color is it?",
            pictures=[Picture(picture(COLORS[number % len(COLORS)]))],
            accepted=[COLORS[number % len(COLORS)]],
        )
        for number in range(QUESTIONS)
    ]
    row: Row = {"checkpoint_id": "c", "base_path": str(checkpoint), "path": str(checkpoint)}
    return [
        one
        for one in plan_answers(row, items, held_pictures(items), 4, None, controlled=())
        if one.inputs.columns["model"] == "base"
    ]


def answer_all(checkpoint: Path, folder: Path) -> Refreshed:
    def make(missing: Sequence[AnyPlanned]) -> Iterable[list[AbilityAnswer]]:
        return ask_model(checkpoint, missing, 1, 4, print)

    with RowJournal(folder, ABILITY_ANSWERS, ("c",)) as journal:
        return refresh_together(ABILITY_ANSWERS, planned(checkpoint), None, journal, make, "run", print)


if __name__ == "__main__":
    answer_all(Path(sys.argv[1]), Path(sys.argv[2]))
