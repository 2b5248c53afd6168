"""The released author: takes prompts and dialogues from StableLLaVA's published JSON files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stablellava_assets.abilities.catalog import AnyAbility, Catalog
from stablellava_assets.abilities.prompt_format import parse_prompt
from stablellava_assets.authors.base import NOT_ASKED, NoChatModel
from stablellava_assets.authors.released.rows import ReleasedDataError, problem_of, read_released, released_files
from stablellava_assets.authors.settings import ReleasedAuthorSettings
from stablellava_assets.tables.identity import content_key, derive_seed
from stablellava_assets.tables.pair_rows import (
    Dialogue,
    DialogueColumns,
    Fact,
    PaintedImage,
    PromptSpec,
    SpecColumns,
    WrittenSpec,
)
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.tables.schemas import FAILED, MADE
from stablellava_assets.text.conversations import exchange

_SOURCE_ROW = "source_row"


class _Spec(SpecColumns):
    """The prompt columns; ``reason`` says why the source row cannot be used, if so."""

    reason: str | None


class ReleasedAuthor(NoChatModel):
    """Ingests ``<ability>.json`` in the order of the file: batch 0001 is its first ``count``
    rows, 0002 the next, and so on.

    Every row becomes a spec. A row that lacks a field, or whose question has no place for its image, becomes a failed
    spec with the reason, so that no image is made for it.
    """

    name = "released"

    def __init__(self, settings: ReleasedAuthorSettings) -> None:
        """
        Raises:
            ReleasedDataError: the folder is missing or holds no JSON file.
        """
        self._folder = settings.folder
        released_files(self._folder)

    def abilities(self, catalog: Catalog) -> list[str]:
        """The abilities that have a file.

        Raises:
            ReleasedDataError: a file is named after an unknown ability, so its rows would be ignored.
        """
        names = [path.stem for path in released_files(self._folder)]
        if unknown := [name for name in names if name not in catalog.single]:
            raise ReleasedDataError(
                f"{self._folder / unknown[0]}.json: the catalog has no ability {unknown[0]!r}; add {unknown[0]}.yaml "
                "or move the file away"
            )
        return names

    def plan_prompts(self, ability: AnyAbility, batch: str, count: int) -> list[PlannedRow[_Spec]]:
        """The specs of a batch; fewer than ``count`` at the end of the file, and none after it.

        Raises:
            ReleasedDataError: the ability has no file, or it is not a JSON list.
        """
        rows = self._rows(ability.ability)
        start = (int(batch) - 1) * count
        return [
            self._plan_prompt(ability, batch, position, rows[position])
            for position in range(start, min(start + count, len(rows)))
        ]

    def write_prompts(self, planned: Sequence[PlannedRow[_Spec]]) -> list[PromptSpec]:
        """The planned rows: made, or failed with the problem of the source row."""
        return [
            {
                "spec_id": row.row_id,
                **row.inputs,
                "row_key": row.row_key,
                "status": MADE if row.inputs["reason"] is None else FAILED,
            }
            for row in planned
        ]

    def plan_dialogues(
        self, ability: AnyAbility, painted: Sequence[tuple[WrittenSpec, PaintedImage]]
    ) -> list[PlannedRow[DialogueColumns]]:
        """The released question and answer about every image, verbatim.

        Raises:
            ReleasedDataError: the file is no longer the one the prompts came from.
        """
        rows = self._rows(ability.ability)
        return [self._plan_dialogue(self._source(ability.ability, rows, spec), spec, image) for spec, image in painted]

    def write_dialogues(self, planned: Sequence[PlannedRow[DialogueColumns]]) -> list[Dialogue]:
        """The planned rows unchanged: the file holds everything."""
        return [
            {"pair_id": row.row_id, **row.inputs, "row_key": row.row_key, "status": MADE, "reason": None}
            for row in planned
        ]

    def _rows(self, ability: str) -> Sequence[Any]:
        return read_released(self._folder / f"{ability}.json")

    def _plan_prompt(self, ability: AnyAbility, batch: str, position: int, source: Any) -> PlannedRow[_Spec]:
        spec_id = content_key("spec", self.name, ability.ability, position, source)
        problem = problem_of(source)
        content: _Spec = {
            "ability": ability.ability,
            "batch": batch,
            "prompt": None,
            "negative_prompt": ability.negative_prompt,
            "subject": None,
            "keywords": [],
            "facts": _facts({_SOURCE_ROW: str(position)}),
            "seed": derive_seed(spec_id),
            "author": self.name,
            "template_version": content_key(source),
            **NOT_ASKED,  # type: ignore[typeddict-item]
            "reason": problem and f"{ability.ability}.json, row {position} (from 0): {problem}",
        }
        if problem is None:
            prompt = parse_prompt(source["prompt"])
            brackets = "balanced" if prompt.balanced else "unbalanced"
            content |= {
                "prompt": source["prompt"],
                "subject": prompt.subject,
                "keywords": prompt.keywords,
                "facts": _facts(
                    {
                        "subject": prompt.subject,
                        _SOURCE_ROW: str(position),
                        "source_id": source["id"],
                        "brackets": brackets,
                    }
                ),
            }
        return PlannedRow(spec_id, content_key("spec row", spec_id, content), content)

    def _source(self, ability: str, rows: Sequence[Any], spec: WrittenSpec) -> dict[str, str]:
        """The source row of a spec, by the position recorded in its facts."""
        position = next((int(fact["value"]) for fact in spec["facts"] if fact["name"] == _SOURCE_ROW), None)
        if position is None:
            raise ReleasedDataError(
                f"prompt_specs row {spec['spec_id']} of author {spec['author']!r} is not from a released file; "
                "materialize prompt_specs again with this profile"
            )
        if position >= len(rows) or content_key(rows[position]) != spec["template_version"]:
            raise ReleasedDataError(
                f"{self._folder / ability}.json: row {position} is not what prompt_specs row {spec['spec_id']} was "
                "made from; materialize prompt_specs again, or restore the file"
            )
        source: dict[str, str] = rows[position]
        return source

    def _plan_dialogue(
        self, source: dict[str, str], spec: WrittenSpec, image: PaintedImage
    ) -> PlannedRow[DialogueColumns]:
        pair_id = content_key("pair", self.name, spec["spec_id"])
        content: DialogueColumns = {
            "ability": spec["ability"],
            "batch": spec["batch"],
            "spec_ids": [spec["spec_id"]],
            "image_ids": [image["image_id"]],
            "conversations": exchange(source["question"], source["answer"]),
            "question_kind": "describe",
            "expected": None,
            "author": self.name,
            **NOT_ASKED,
            "sees_picture": None,
        }
        return PlannedRow(pair_id, content_key("pair row", {**content, "reason": None}, image["sha256"]), content)


def _facts(values: dict[str, str]) -> list[Fact]:
    return [{"name": name, "value": value} for name, value in values.items()]
