"""Every built-in profile loads, and makes its author and its painter."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from stablellava_assets.defs.resources import resources_of
from stablellava_assets.inputs.yaml_documents import Document
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES, load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.schemas import PROMPT_SPECS


@pytest.mark.parametrize("name", sorted(path.stem for path in BUILT_IN_PROFILES.glob("*.yaml")))
def test_a_built_in_profile_loads(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    published = tmp_path / "data/released"
    published.mkdir(parents=True)
    row = {
        "id": 0,
        "image": "0.jpg",
        "prompt": "((Koala)), tree",
        "question": "What is it?\n<image>",
        "answer": "A koala.",
    }
    (published / "animal.json").write_text(json.dumps([row]))
    profile = load_profile({"STABLELLAVA_PROFILE": name, "STABLELLAVA_DATA": str(tmp_path)})
    workspace = Workspace(profile)
    assert workspace.author.name == profile.author.kind
    assert workspace.painter.name == profile.painter.kind


def test_an_author_of_other_abilities_leaves_the_resources_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    published = tmp_path / "data/released"
    published.mkdir(parents=True)
    (published / "animal.json").write_text("[{}]")
    profile = tmp_path / "profile.yaml"
    profile.write_text((BUILT_IN_PROFILES / "released.yaml").read_text() + "\nonly: [color]\n")
    workspace = Workspace(load_profile({"STABLELLAVA_PROFILE": str(profile), "STABLELLAVA_DATA": str(tmp_path)}))
    assert workspace.author_abilities == []
    assert workspace.first_batch is None
    with dg.build_resources(resources_of(workspace)) as given:
        assert given.tables.upstream(PROMPT_SPECS).partitions == []
        with pytest.raises(dg.Failure, match=r"--select '\*prompt_specs'\n"):
            given.tables.upstream(PROMPT_SPECS).read_all()


def test_the_painter_that_the_workstation_profile_suggests_fits(tmp_path: Path) -> None:
    lines = (BUILT_IN_PROFILES / "workstation.yaml").read_text().splitlines()
    start = lines.index("#   painter:")
    end = next(number for number, line in enumerate(lines[start:], start) if not line.startswith("#"))
    suggested = [line.removeprefix("#   ") for line in lines[start:end]]
    own = lines.index("painter:")
    profile = tmp_path / "profile.yaml"
    profile.write_text("\n".join([*lines[:own], *suggested, *lines[end:]]))
    assert load_profile({"STABLELLAVA_PROFILE": str(profile)}).painter.kind == "diffusion"


def test_every_setting_of_a_painter_is_described() -> None:
    from stablellava_assets.painters.settings import ApiPainterSettings, DiffusionPainterSettings

    kinds: tuple[type[Document], ...] = (ApiPainterSettings, DiffusionPainterSettings)
    for kind in kinds:
        missing = [
            name
            for name, field in kind.model_fields.items()
            if not field.description and name not in ("kind", "endpoint")
        ]
        assert missing == []
