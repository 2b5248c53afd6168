"""The catalog of abilities: one YAML file each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from stablellava_assets.abilities.ability import Ability, Subject
from stablellava_assets.abilities.brief import Brief
from stablellava_assets.abilities.group_questions import check_questions
from stablellava_assets.abilities.multi_image import MultiImageAbility
from stablellava_assets.inputs.folders import files_of
from stablellava_assets.inputs.yaml_documents import DocumentError, load_document_as

BUILT_IN_ABILITIES = Path(__file__).parent

AnyAbility = Ability | MultiImageAbility


def single_image(ability: AnyAbility) -> Ability:
    """The ability, for code that knows only abilities about single images.

    Raises:
        TypeError: it is about several.
    """
    if isinstance(ability, MultiImageAbility):
        raise TypeError(f"ability {ability.ability!r} is about {ability.images.count} images")
    return ability


def briefed(ability: AnyAbility, brief: Brief | None) -> AnyAbility:
    """The ability for a batch with more of what ``brief`` says."""
    return ability if brief is None else ability.with_brief(brief)


class Catalog(Mapping[str, AnyAbility]):
    """The abilities by name, in alphabetical order. ``own`` are those that a user added to the others."""

    def __init__(self, abilities: Mapping[str, AnyAbility], own: Collection[str] = ()) -> None:
        self._abilities = dict(sorted(abilities.items()))
        self._own = frozenset(own)

    def __getitem__(self, name: str) -> AnyAbility:
        try:
            return self._abilities[name]
        except KeyError:
            raise KeyError(f"no ability {name!r}; the catalog has {', '.join(self._abilities)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._abilities)

    def __len__(self) -> int:
        return len(self._abilities)

    @cached_property
    def single(self) -> Mapping[str, Ability]:
        """The abilities about single images, in alphabetical order."""
        return {name: ability for name, ability in self._abilities.items() if isinstance(ability, Ability)}

    @cached_property
    def own(self) -> Catalog:
        """The abilities that a user added."""
        return Catalog({name: ability for name, ability in self._abilities.items() if name in self._own}, self._own)

    @cached_property
    def without_own(self) -> Catalog:
        """The abilities that a user added others to."""
        return Catalog({name: ability for name, ability in self._abilities.items() if name not in self._own})

    @cached_property
    def multi_image(self) -> Mapping[str, MultiImageAbility]:
        """The abilities about groups of images, in alphabetical order."""
        return {name: ability for name, ability in self._abilities.items() if isinstance(ability, MultiImageAbility)}


def load_catalog(folder: Path = BUILT_IN_ABILITIES, own: Path | None = None) -> Catalog:
    """Read every ``*.yaml`` in ``folder``, and in the folder ``own`` of further abilities if that exists.

    Raises:
        DocumentError: a file is invalid (file, line, key and reason are named), its name is not its ability's, two
            files hold the same ability or draw the same phrase differently, a prompt word is not drawable, or a
            question about several images cannot be worded.
    """
    paths = _ability_files(folder)
    if not paths:
        raise DocumentError(f"{folder}: holds no ability (*.yaml)")
    further: list[Path] = []
    if own is not None and own.exists() and not own.samefile(folder):
        files = {path.stem: path for path in paths}
        paths += (further := _ability_files(own))
        if twice := next((path for path in further if path.stem in files), None):
            raise DocumentError(f"{twice}: there is an ability of this name, {files[twice.stem]}; rename the file")
    abilities: dict[str, AnyAbility] = {}
    for path in paths:
        ability = load_document_as(path, _kind_of)
        if ability.ability != path.stem:
            raise DocumentError(f"{path}:1: ability: is {ability.ability!r}, but the file is named {path.stem!r}")
        abilities[ability.ability] = ability
    single = Catalog(abilities).single
    drawn_by: dict[str, tuple[Path, Subject]] = {}
    for path in paths:
        for subject in single[path.stem].drawn_subjects if path.stem in single else ():
            other_path, other = drawn_by.setdefault(subject.name.lower(), (path, subject))
            if _drawing(subject) != _drawing(other):
                raise DocumentError(f"{path}: subjects: {subject.name!r} is drawn differently in {other_path}")
    for path in paths:
        found = abilities[path.stem]
        if isinstance(found, Ability):
            _check_vocabulary(path, found, drawn_by)
            _check_never_shown(path, found, single)
        else:
            abilities[path.stem] = _with_sources(path, found, single, drawn_by)
    return Catalog(abilities, [path.stem for path in further])


def _kind_of(content: Mapping[str, Any]) -> type[AnyAbility]:
    return MultiImageAbility if "images" in content else Ability


def _with_sources(
    path: Path,
    ability: MultiImageAbility,
    single: Mapping[str, Ability],
    drawn_by: Mapping[str, tuple[Path, Subject]],
) -> MultiImageAbility:
    try:
        found = ability.with_sources(single)
        check_questions(found)
    except ValueError as error:
        raise DocumentError(f"{path}: {error}") from error
    for style in ability.prompts.styles:
        if style.lower() not in drawn_by or drawn_by[style.lower()][1].effect is None:
            raise DocumentError(f"{path}: prompts.styles: no ability draws the style {style!r}")
    return found


def _ability_files(folder: Path) -> list[Path]:
    try:
        return files_of(folder, ".yaml")
    except OSError as error:
        raise DocumentError(
            f"abilities: {folder} cannot be listed ({error.strerror}); name a folder of *.yaml"
        ) from error


def _drawing(subject: Subject) -> tuple[object, ...]:
    return subject.layers, subject.backdrop, subject.effect


def _check_never_shown(path: Path, ability: Ability, single: Mapping[str, Ability]) -> None:
    """What pictures never show must be taken for granted by an ability's questions, and the scenes be prompts' own.

    A catalog may lack an ability that is built in.
    """
    for name, scenes in ability.never_shows.items():
        is_missing = name not in single and not (BUILT_IN_ABILITIES / f"{name}.yaml").exists()
        if is_missing or (name in single and single[name].presupposes is None):
            raise DocumentError(f"{path}: never_shows: no ability {name!r} says what its questions presuppose")
        if unknown := [scene for scene in scenes if scene not in ability.prompts.scenes]:
            raise DocumentError(f"{path}: never_shows: {name}: {unknown[0]!r} is not among prompts.scenes")


def _check_vocabulary(path: Path, ability: Ability, drawn_by: Mapping[str, tuple[Path, Subject]]) -> None:
    """Scenes, contents and a subject's own scene must be drawable; a scene must not show the ability's subjects."""
    own_sprites = {sprite for subject in ability.drawn_subjects for layer in subject.layers for sprite in layer.sprites}
    forced = [subject.scene for subject in ability.drawn_subjects if subject.scene]
    for scene in [*ability.prompts.scenes, *forced]:
        found = drawn_by.get(scene.lower())
        if found is None or found[1].backdrop is None:
            raise DocumentError(f"{path}: prompts.scenes: no ability draws the scene {scene!r}")
        shown = own_sprites & {*found[1].backdrop.props, *found[1].backdrop.sky_props}
        if shown:
            raise DocumentError(
                f"{path}: prompts.scenes: {scene!r} shows {' '.join(sorted(shown))}, which is also a subject here;"
                " questions about what is absent would be wrong"
            )
    for content in ability.prompts.contents:
        found = drawn_by.get(content.lower())
        if found is None or not found[1].layers:
            raise DocumentError(f"{path}: prompts.contents: no ability draws {content!r}")
