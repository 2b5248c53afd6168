"""Rounds: what each gained over the one before, and when another one is not worth its cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from stablellava_assets.cli.main import main
from stablellava_assets.evaluation.rounds import gains_table, read_rounds, rounds_table, stalled
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES
from stablellava_assets.report.plots import rounds_chart
from stablellava_assets.tables.identity import content_key, pairs_key
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import ABILITY_ANSWERS, ABILITY_DIAGNOSIS, FILTERED_PAIRS, LLAVA_CHECKPOINT
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.text.conversations import exchange
from stablellava_assets_tests.planning.known import publish_scores, row
from stablellava_assets_tests.project import Project
from stablellava_assets_tests.tables.made_up import Row, but

ABILITIES = ("animal", "color")
ITEMS = 100


def publish_round(
    store: ParquetStore, checkpoint: str, right: Mapping[str, int], *, question: str = "What is it?"
) -> None:
    """A checkpoint that answers the first so many of a hundred questions of each ability right."""
    publish_scores(store, checkpoint, dict(right))
    answers: list[Row] = [
        row(
            ABILITY_ANSWERS,
            answer_id=f"{checkpoint} {model} {ability} {number}",
            checkpoint_id=checkpoint,
            model=model,
            benchmark=benchmark,
            ability=ability,
            item_id=f"{benchmark} {ability} {number}",
            question_kind="what",
            question=question,
            picture=f"{ability} {number}",
            rotation=None,
            accepted=["right"],
            answer="right" if number < count else "wrong",
            correct=number < count,
        )
        for ability, count in right.items()
        for number in range(ITEMS)
        # Nothing but the tuned model's answers to reported items counts.
        for model, benchmark in (("tuned", "ai"), ("base", "ai"), ("blind", "ai"), ("tuned", "diagnosis"))
    ]
    store.publish(ABILITY_ANSWERS, (checkpoint,), ABILITY_ANSWERS.from_rows(answers))


def test_a_round_is_compared_with_the_one_before_over_the_same_questions(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path))
    assert read_rounds(store, "ai") == []
    publish_round(store, "one", {"animal": 50, "color": 60})
    publish_round(store, "two", {"animal": 80, "color": 60})
    publish_round(store, "three", {"animal": 80, "color": 61}, question="Which one is it?")
    first, second, third = read_rounds(store, "ai")
    assert (first.total["n"], first.total["accuracy"], first.total["difference"]) == (200, 0.55, None)
    assert second.total["difference"] == pytest.approx(0.15)
    assert second.gained is True
    animal, color, _ = second.scores
    assert (animal["difference"], animal["verdict"]) == (0.3, "better")
    assert (color["difference"], color["verdict"]) == (0.0, "no difference shown")
    assert (third.total["accuracy"], third.gained) == (0.705, None), "other questions are not compared"
    assert [one.number for one in read_rounds(store, "ai", "two")] == [1, 2]

    table = gains_table(second, markdown=False)
    assert table.splitlines()[1].split()[:4] == ["animal", "100", "0.800", "+0.300"]
    assert table.splitlines()[-1].startswith("all abilities")
    assert [line.split()[0] for line in rounds_table([first, second, third], markdown=False).splitlines()] == [
        *("round", "1", "2", "3")
    ]
    assert rounds_chart([first, second, third]).startswith(b"\x89PNG")


def test_two_rounds_without_a_gain_are_enough(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path))
    told = []
    for checkpoint, right in (("a", 50), ("b", 70), ("c", 71), ("d", 70), ("e", 90)):
        publish_round(store, checkpoint, dict.fromkeys(ABILITIES, right))
        told.append(stalled(read_rounds(store, "ai")))
    assert told == [False, False, False, True, False]


@pytest.fixture(name="asked_for")
def _asked_for(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The partitions that a command would have materialized."""
    asked: list[str] = []
    monkeypatch.setattr("stablellava_assets.cli.demo.materialize_all", lambda _, partitions: asked.append(partitions))
    return asked


class Rounds:
    """Rounds of two abilities, three batches at most."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path = folder / "profile.yaml"
        self.store = ParquetStore(str(folder / "data/tables"))
        self.write_profile()
        monkeypatch.setenv("STABLELLAVA_PROFILE", str(self._path))
        monkeypatch.setenv("STABLELLAVA_DATA", str(folder / "data"))

    def write_profile(self, **changes: Any) -> None:
        profile = yaml.safe_load((BUILT_IN_PROFILES / "embedded.yaml").read_text())
        self._path.write_text(yaml.safe_dump({**profile, "only": list(ABILITIES), "batches": 3, **changes}))

    def filtered(self, batch: str, *abilities: str) -> None:
        for ability in abilities or ABILITIES:
            name = f"{ability} {batch}"
            turns = exchange(f"<image>\nWhat is {name}?", f"It is {name}.")
            hashes = {"perceptual_hash": content_key(name)[:16], "image_sha256": name, "row_key": name}
            pair = row(FILTERED_PAIRS, pair_id=name, prompt=f"(({name})), park", conversations=turns, **hashes)
            self.store.publish(FILTERED_PAIRS, (ability, batch), FILTERED_PAIRS.from_rows([pair]))

    def tuned(self, checkpoint: str, right: int) -> None:
        """A checkpoint of the pairs that are there."""
        publish_round(self.store, checkpoint, dict.fromkeys(ABILITIES, right))
        rows = LLAVA_CHECKPOINT.rows(self.store.read_all(LLAVA_CHECKPOINT))
        key = pairs_key(texts_of(self.store.read_all(FILTERED_PAIRS), "row_key"))
        self.store.publish(LLAVA_CHECKPOINT, (), LLAVA_CHECKPOINT.from_rows([*rows[:-1], but(rows[-1], pairs_key=key)]))

    def next(self, *options: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, ["round", *options])
        assert done.exit_code == code, done.output
        return done.output


@pytest.fixture(name="rounds")
def _rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rounds:
    return Rounds(tmp_path, monkeypatch)


def test_the_command_stops_by_itself_unless_told_otherwise(rounds: Rounds, asked_for: list[str]) -> None:
    for batch, checkpoint in (("0001", "a"), ("0002", "b")):
        rounds.filtered(batch)
        rounds.tuned(checkpoint, 70)
        assert "showed no gain" not in rounds.next()
    assert asked_for == ["animal|0002...color|0002", "animal|0003...color|0003"]
    rounds.tuned("c", 70)
    assert "The last two rounds showed no gain over all abilities" in rounds.next()
    assert len(asked_for) == 2
    assert "the next call makes nothing" in rounds.next("--anyway")
    assert len(asked_for) == 3


def test_a_round_begins_with_the_first_batch_and_resumes_what_was_interrupted(
    rounds: Rounds, asked_for: list[str]
) -> None:
    rounds.next()
    rounds.filtered("0001")
    rounds.next()
    rounds.tuned("a", 60)
    rounds.filtered("0002", "color")
    rounds.next()
    rounds.filtered("0002", "animal")
    rounds.next()
    assert [asked.split("...")[0] for asked in asked_for] == [
        "animal|0001",
        "animal|0001",
        "animal|0002",
        "animal|0002",
    ]
    for batch, checkpoint in (("0002", "b"), ("0003", "c")):
        rounds.filtered(batch)
        rounds.tuned(checkpoint, 80)
    assert "all 3 batches are done; raise `batches` in the profile" in rounds.next(code=1)


def test_errors_are_diagnosed_before_a_batch_is_planned_from_them(rounds: Rounds, asked_for: list[str]) -> None:
    rounds.filtered("0001")
    rounds.tuned("a", 60)
    rounds.write_profile(benchmark={"diagnosis_items_per_kind": 20}, planning={"errors": True})
    rounds.next()
    told = [row(ABILITY_DIAGNOSIS, checkpoint_id="a")]
    rounds.store.publish(ABILITY_DIAGNOSIS, ("a",), ABILITY_DIAGNOSIS.from_rows(told))
    rounds.next()
    assert [asked.split("...")[0] for asked in asked_for] == ["animal|0001", "animal|0002"]


@pytest.mark.slow(30)
def test_a_round_as_a_person_makes_it(own: Project) -> None:
    told = own.run("stablellava round").stdout
    assert "Round of batch 0002, after 1 scored so far." in told
    rounds = read_rounds(own.workspace.store, "ai")
    assert len(rounds) == 2
    assert gains_table(rounds[-1], markdown=False) in told
    assert rounds_table(rounds, markdown=False) in told
    assert '<h2 id="rounds">' in own.workspace.report.page(rounds[-1].checkpoint_id).read_text()
