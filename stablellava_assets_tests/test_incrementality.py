"""Pay only for what is new: the real command line, edited YAML files, and the run ids in the rows."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from stablellava_assets.tables.schemas import ABILITY_SCORES, DIALOGUES, IMAGES, PROMPT_SPECS
from stablellava_assets.tables.table import AnyTable
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.project import Project

pytestmark = pytest.mark.slow

SYNTHESIZE = "--select prompt_specs,images,dialogues --partition-range 'animal|0001...scene|0001'"


def rows_by_id(project: Project, table: AnyTable) -> dict[str, dict[str, Any]]:
    columns = [name for name in table.schema.names if name != "image"]
    rows = project.workspace.store.read_all(table, columns=columns).to_pylist()
    return {row[table.row_id]: row for row in rows}


def recomputed(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that a later run made."""
    runs = {row["run_id"] for row in before.values()}
    return [row for row in after.values() if row["run_id"] not in runs]


def test_a_changed_template_line_redoes_only_the_rows_that_use_it(own: Project) -> None:
    before = {table.name: rows_by_id(own, table) for table in (PROMPT_SPECS, IMAGES, DIALOGUES)}
    questions = yaml.load((own.abilities_folder / "animal.yaml").read_text(), Loader=yaml.BaseLoader)["questions"]
    old = questions["what"]["ask"][0]
    new = old.replace("?", ", please?")
    own.edit_ability("animal", f"- {old}\n", f"- {new}\n")
    shown = own.materialize(SYNTHESIZE).stdout

    for table in (PROMPT_SPECS, IMAGES):
        assert recomputed(before[table.name], rows_by_id(own, table)) == []
    after = rows_by_id(own, DIALOGUES)
    redone = recomputed(before["dialogues"], after)
    used_old = {pair_id for pair_id, row in before["dialogues"].items() if old in row["conversations"][0]["value"]}
    use_new = {row["pair_id"] for row in after.values() if new in row["conversations"][0]["value"]}
    assert used_old
    assert {row["pair_id"] for row in redone} == used_old | use_new
    assert {row["ability"] for row in redone} == {"animal"}
    assert len(redone) < 12
    assert f"animal|0001: published: 48 rows, {48 - len(redone)} reused, 0 resumed, {len(redone)} computed" in shown
    assert "color|0001: unchanged: 48 rows, 48 reused, 0 resumed, 0 computed, 0 failed" in shown


def test_a_larger_batch_makes_only_the_new_rows(own: Project) -> None:
    before = {table.name: rows_by_id(own, table) for table in (PROMPT_SPECS, IMAGES, DIALOGUES)}
    own.write_profile({**SMALL, "rows_per_batch": 15})
    own.materialize(SYNTHESIZE)
    for table, count in ((PROMPT_SPECS, 3), (IMAGES, 3), (DIALOGUES, 12)):
        after = rows_by_id(own, table)
        assert before[table.name].keys() < after.keys()
        assert len(recomputed(before[table.name], after)) == 3 * count


INSTRUMENTS = """
ability: instrument
group: man-made
title: Instruments
teaches: Name the musical instrument in the picture.
negative_prompt: text, blurry
chat:
  instruction: Write prompts whose subject is a musical instrument.
  cautions: [One instrument a prompt.]
  keywords: [guitar, piano, drum, trumpet, violin]
  examples:
    - ((guitar)), stage, soft light
    - ((piano)), hall, realistic
    - ((drum)), street, vibrant
    - ((trumpet)), brass, shiny
    - ((violin)), wooden table, 8k
  dialogue_instruction: Say which instrument is shown.
  dialogue_examples:
    - {prompt: "((guitar)), stage", question: What is shown?, answer: A guitar on a stage.}
    - {prompt: "((piano)), hall", question: What is shown?, answer: A piano in a hall.}
prompts:
  scenes: [desert, beach, park]
  details: [soft light, vibrant, 8k, realistic]
subjects:
  - {name: guitar, sprites: [🎸]}
  - {name: piano, sprites: [🎹]}
  - {name: drum, sprites: [🥁]}
  - {name: trumpet, sprites: [🎺]}
  - {name: violin, sprites: [🎻]}
questions:
  what: {ask: ["What instrument is in the picture?"], answer: ["It is {a_subject}."]}
  yes_no:
    ask: ["Is there {a_candidate} in the picture?"]
    yes: ["Yes, there is {a_subject}."]
    no: ["No, there is no {candidate}."]
  either_or: {ask: ["Is it {a_first} or {a_second}?"], answer: ["It is {a_subject}."]}
benchmark:
  what: ["What instrument is it?"]
  yes_no: ["Is it {a_candidate}?"]
  either_or: ["Is there {a_first} or {a_second} in the picture?"]
"""


def test_a_new_ability_is_one_file_and_goes_through_to_a_score(project: Project) -> None:
    (project.abilities_folder / "instrument.yaml").write_text(INSTRUMENTS)
    project.materialize("--select '*' --partition-range 'animal|0001...scene|0001'")
    scores = project.workspace.store.read_all(ABILITY_SCORES).to_pylist()
    scored = {
        (row["model"], row["n"]) for row in scores if (row["ability"], row["question_kind"]) == ("instrument", "all")
    }
    assert scored == {("base", 51), ("tuned", 51), ("blind", 51), ("swapped", 51)}


def test_an_ability_with_a_mistake_is_refused(project: Project) -> None:
    (project.abilities_folder / "instrument.yaml").write_text(INSTRUMENTS.replace("{a_candidate} in", "{a_thing} in"))
    failed = project.materialize("--select ability_scores", check=False)
    assert failed.returncode != 0
    assert (
        "instrument.yaml:33: questions.yes_no.ask.0: template 'Is there {a_thing} in the picture?' uses ['a_thing']"
        in failed.stdout
    )
