"""The table of abilities, in a terminal and in the UI."""

from __future__ import annotations

from stablellava_assets.evaluation.scoreboard import NO_PHOTOGRAPHS, scoreboard
from stablellava_assets.evaluation.scores.scoring import score_answers
from stablellava_assets_tests.evaluation.answers import answers
from stablellava_assets_tests.tables.made_up import Row, but


def test_better_stands_where_it_was_shown_and_nowhere_else() -> None:
    rows = answers("0" * 12, "1" * 12, "animal") + answers("011111", "111111", "color")
    table, too_few, note = scoreboard(score_answers(rows), markdown=False).split("\n\n")
    lines = table.splitlines()
    assert lines[0].split("  ")[0] == "ability"
    of = {line.split()[0]: line for line in lines}
    assert "better" in of["animal"]
    assert "no difference shown †" in of["color"]
    assert too_few == "† too few items to show +0.05 (benchmark.wanted_gain)."
    assert lines[-1].startswith("all abilities")
    assert note == NO_PHOTOGRAPHS


def test_every_benchmark_has_a_table_with_the_kinds_it_asks() -> None:
    rows = answers("01", "11", "animal") + answers("0", "1", "animal", "choice", benchmark="photos")
    shown = scoreboard(score_answers(rows), markdown=True)
    painted, photographs = shown.split("Benchmark: real photographs (photos)\n\n")
    assert painted.startswith("Benchmark: synthesized images (ai)\n\n| ability | n | base | tuned |")
    assert painted.splitlines()[2].endswith("| verdict | what | yes_no | either_or |")
    assert photographs.splitlines()[0].endswith("| verdict | choice |")
    assert NO_PHOTOGRAPHS not in shown


def test_scores_of_an_earlier_version_are_shown_without_a_verdict() -> None:
    unjudged: list[Row] = [
        {**row, "p_holm": None, "verdict": None} for row in score_answers(answers("01", "11", "animal"))
    ]
    assert "| animal | 2 | 0.500 | 1.000 |" in scoreboard(unjudged, markdown=True)


def test_yes_no_questions_tell_how_often_yes_was_said_and_nothing() -> None:
    rows = [but(row, answer="A cat.") for row in answers("0101", "1111", "animal", "yes_no")]
    shown = scoreboard(score_answers(rows), markdown=True)
    assert "| all | base | 0.500 |  | 0.000 | 0.000 | 0.000 | 4 |" in shown
