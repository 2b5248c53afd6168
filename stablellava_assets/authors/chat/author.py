"""The chat author: a chat model behind an OpenAI-compatible endpoint writes the prompts and the dialogues."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property, partial
from typing import Any, TypeVar

from pydantic import BaseModel

from stablellava_assets.abilities.catalog import AnyAbility, Catalog, single_image
from stablellava_assets.abilities.multi_image import MultiImageAbility, images_per_dialogue
from stablellava_assets.authors.chat.cleaning import UnusableTextError
from stablellava_assets.authors.chat.cost_allocation import RowCost
from stablellava_assets.authors.chat.dialogue_kinds import DialogueSlot
from stablellava_assets.authors.chat.dialogue_requests import Picture, PictureDialogueRequest, part_key, picture_of
from stablellava_assets.authors.chat.dialogue_rows import UNWRITTEN, Conversation, dialogue_columns
from stablellava_assets.authors.chat.examples import Example, dialogue_examples_of, prompt_examples
from stablellava_assets.authors.chat.forecast import BundledRequest, expected_requests
from stablellava_assets.authors.chat.group_dialogues import (
    GroupDialogueRequest,
    PictureGroup,
    group_dialogue_columns,
    group_of,
    group_part_key,
)
from stablellava_assets.authors.chat.group_prompts import (
    GroupPromptRequest,
    group_columns,
    group_guidance_key,
    unwritten_group_columns,
)
from stablellava_assets.authors.chat.group_rotation import GroupSlot, drawn_group_slots, guided_group_slots
from stablellava_assets.authors.chat.pictures import Pictures
from stablellava_assets.authors.chat.prompt_requests import SinglePromptRequest, guidance_key
from stablellava_assets.authors.chat.prompt_rows import prompt_columns, unwritten_columns
from stablellava_assets.authors.chat.rotation import Slot, drawn_slots, guided_slots
from stablellava_assets.authors.chat.row_answers import AnsweredRow, ask
from stablellava_assets.authors.chat.row_keys import KeyOf, key_rows
from stablellava_assets.authors.settings import ChatAuthorSettings
from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.failing import failing_key
from stablellava_assets.endpoint.forecasting import forecast
from stablellava_assets.endpoint.usage import Forecast, Usage
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.state.sql import StatePlace
from stablellava_assets.tables.groups import complete_groups
from stablellava_assets.tables.identity import content_key, derive_seed
from stablellava_assets.tables.pair_rows import Asked, Blamed, Dialogue, PaintedImage, PromptSpec, WrittenSpec
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.tables.schemas import DIALOGUES, FAILED, MADE, PROMPT_SPECS
from stablellava_assets.tables.store import ParquetStore

ColumnsT = TypeVar("ColumnsT")


@dataclass(frozen=True)
class _PromptInputs:
    """Inputs of a prompt; ``request`` is None if the row is published.

    ``unit`` is what is written as a whole: the prompt itself, by the row's id, or its group, by the group's.
    """

    ability: AnyAbility
    batch: str
    unit: str
    slot: Slot | GroupSlot
    number: int
    guidance_hash: str
    example_ids: tuple[str, ...]
    request: SinglePromptRequest | GroupPromptRequest | None


@dataclass(frozen=True)
class _DialogueInputs:
    """Inputs of a dialogue; ``request`` is None if the row is published."""

    ability: AnyAbility
    batch: str
    shown: Picture | PictureGroup
    part: DialogueSlot
    example_ids: tuple[str, ...]
    request: PictureDialogueRequest | GroupDialogueRequest | None


_Planned = PlannedRow[_PromptInputs] | PlannedRow[_DialogueInputs]


class _Result(Blamed):
    status: str
    reason: str | None


class ChatAuthor:
    """Requests prompts in blocks, and all dialogues about an image at once.

    A row's key covers its subject or image, the instructions, the examples in the request, the model and the sampling
    parameters. It covers neither the endpoint's address nor the grouping of rows into requests, because these do not
    change a row. Settings that do not affect a row's content but can make it fail are in its settings key: after a
    change, failed rows are requested again.

    Args:
        settings: the profile's.
        store: the published tables, the source of examples and images.
        ledger_place: the ledger of paid answers.
    """

    name = "chat"
    is_slow = True

    def __init__(self, settings: ChatAuthorSettings, store: ParquetStore, ledger_place: StatePlace) -> None:
        self._settings = settings
        self._store = store
        self._ledger_place = ledger_place
        self._usage = Usage()

    def abilities(self, catalog: Catalog) -> list[str]:
        """All abilities of the catalog.

        Raises:
            DocumentError: the profile sets quotas for an unknown ability.
        """
        if unknown := sorted(set(self._settings.ability_dialogues) - set(catalog)):
            known = ", ".join(catalog)
            raise DocumentError(f"author.ability_dialogues: no ability {unknown[0]!r}; the catalog has {known}")
        return list(catalog)

    def plan_prompts(self, ability: AnyAbility, batch: str, count: int) -> list[PlannedRow[_PromptInputs]]:
        """Plan ``count`` prompts, or groups of them, cycling through the subjects.

        A larger ``count`` only appends rows.
        """
        settings, partition = self._settings, (ability.ability, batch)
        slots = dict(self._slots(ability, batch, count))
        images = images_per_dialogue(ability)
        places = {
            content_key("spec", unit, number) if images > 1 else unit: (unit, number)
            for unit in slots
            for number in range(1, images + 1)
        }
        guidance_hash = content_key(
            group_guidance_key(settings, ability)
            if isinstance(ability, MultiImageAbility)
            else guidance_key(settings, ability)
        )
        key_of = {
            spec_id: self._key_of(spec_id, guidance_hash, asdict(slots[unit]), ability.negative_prompt)
            for spec_id, (unit, _) in places.items()
        }
        known = cache(partial(prompt_examples, self._store, ability, batch, settings.examples_from))
        failing = failing_key(settings.endpoint, settings.tokens_per_prompt)
        keyed = key_rows(self._store, PROMPT_SPECS, partition, key_of, known, settings.examples, failing)
        failed = frozenset(places[row_id][0] for row_id in keyed.failed)
        a_request = max(1, settings.prompts_per_request // images)
        requests: dict[str, SinglePromptRequest | GroupPromptRequest] = {}
        for row_ids, examples in keyed.blocks(lambda spec_id: slots[places[spec_id][0]].index // a_request):
            wanted = {unit: slots[unit] for row_id in row_ids for unit in places[row_id][:1]}
            request = _prompt_request(settings, ability, batch, wanted, examples, failed)
            requests |= dict.fromkeys(row_ids, request)
        return [
            PlannedRow(
                spec_id,
                keyed.keys[spec_id],
                _PromptInputs(
                    ability,
                    batch,
                    unit,
                    slots[unit],
                    number,
                    guidance_hash,
                    keyed.example_ids[spec_id],
                    requests.get(spec_id),
                ),
                failing,
            )
            for spec_id, (unit, number) in places.items()
        ]

    def write_prompts(self, planned: Sequence[PlannedRow[_PromptInputs]]) -> Iterable[PromptSpec]:
        """Request the prompts, several per request.

        Raises:
            EndpointError: no request can succeed with these settings; the message names the one to change.
        """
        units: dict[str, list[PlannedRow[_PromptInputs]]] = {}
        for row in planned:
            units.setdefault(row.inputs.unit, []).append(row)
        answers = ask(self._endpoint, _requests(planned), units, self._usage)
        return (spec for answered in answers for spec in _specs(units[answered.row_id], answered))

    def plan_dialogues(
        self, ability: AnyAbility, painted: Sequence[tuple[WrittenSpec, PaintedImage]]
    ) -> list[PlannedRow[_DialogueInputs]]:
        """Plan the dialogues that the quotas require for every image, or every group whose images are all given."""
        if not painted:
            return []
        settings, partition = self._settings, (ability.ability, painted[0][0]["batch"])
        quotas = settings.quotas_of(ability.ability)
        everything: Sequence[Picture | PictureGroup]
        if isinstance(ability, MultiImageAbility):
            everything = [group_of(ability, group) for group in complete_groups(painted, ability.images.count)]
        else:
            everything = [picture_of(ability, spec, image) for spec, image in painted]
        parts = {
            content_key("pair", self.name, shown.key, part.key): (shown, part)
            for shown in everything
            for part in shown.parts(quotas)
        }
        key_of = {
            pair_id: self._key_of(pair_id, _part_key(settings, ability, shown, part))
            for pair_id, (shown, part) in parts.items()
        }
        known = cache(partial(dialogue_examples_of, self._store, ability, partition[1], settings.examples_from))
        failing = failing_key(settings.endpoint, settings.tokens_per_answer)
        keyed = key_rows(self._store, DIALOGUES, partition, key_of, known, settings.examples, failing)
        encoded = Pictures(self._store, partition).encoded
        requests: dict[str, PictureDialogueRequest | GroupDialogueRequest] = {}
        for row_ids, examples in keyed.blocks(lambda pair_id: parts[pair_id][0].key):
            shown = parts[row_ids[0]][0]
            asked = {row_id: parts[row_id][1] for row_id in row_ids}
            request = _dialogue_request(settings, ability, shown, asked, examples, encoded, keyed.failed)
            requests |= dict.fromkeys(row_ids, request)
        return [
            PlannedRow(
                pair_id,
                keyed.keys[pair_id],
                _DialogueInputs(ability, partition[1], shown, part, keyed.example_ids[pair_id], requests.get(pair_id)),
                failing,
            )
            for pair_id, (shown, part) in parts.items()
        ]

    def write_dialogues(self, planned: Sequence[PlannedRow[_DialogueInputs]]) -> Iterable[Dialogue]:
        """Request the dialogues, one request per image or group.

        Raises:
            EndpointError: no request can succeed with these settings; the message names the one to change.
        """
        rows = {row.row_id: row for row in planned}
        sees = self._settings.sees_pictures
        answers = ask(self._endpoint, _requests(planned), rows, self._usage)
        return (_dialogue(rows[answered.row_id], answered, sees) for answered in answers)

    def forecast(self, planned: Sequence[_Planned]) -> Forecast:
        """The expected cost of writing these rows; nothing is sent."""
        bundles = _requests(planned)
        return forecast(self._settings.endpoint, self._ledger_place, partial(expected_requests, bundles))

    def take_usage(self) -> Usage:
        """The usage since the last call."""
        taken, self._usage = self._usage, Usage()
        return taken

    @cached_property
    def _endpoint(self) -> ChatEndpoint:
        return ChatEndpoint(self._settings.endpoint, self._ledger_place)

    def _slots(self, ability: AnyAbility, batch: str, count: int) -> Iterable[tuple[str, Slot | GroupSlot]]:
        """What to write, by the id of the row or group."""
        drawn = self._settings.subjects == "drawn"
        if isinstance(ability, MultiImageAbility):
            groups_of = drawn_group_slots if drawn else guided_group_slots
            return groups_of(ability, batch, count, self.name)
        slots = (drawn_slots if drawn else guided_slots)(ability, batch, count)
        return ((content_key("spec", self.name, ability.ability, batch, slot.index), slot) for slot in slots)

    def _key_of(self, row_id: str, *parts: object) -> KeyOf:
        endpoint = self._settings.endpoint
        base = content_key(row_id, *parts, endpoint.model, endpoint.temperature, endpoint.extra_body)
        return lambda example_ids: content_key("chat row", base, list(example_ids))


def _prompt_request(
    settings: ChatAuthorSettings,
    ability: AnyAbility,
    batch: str,
    slots: Mapping[str, Any],
    examples: tuple[Example, ...],
    failed: frozenset[str],
) -> SinglePromptRequest | GroupPromptRequest:
    if isinstance(ability, MultiImageAbility):
        return GroupPromptRequest(settings, ability, batch, slots, examples, failed)
    return SinglePromptRequest(settings, ability, batch, slots, examples, failed)


def _dialogue_request(
    settings: ChatAuthorSettings,
    ability: AnyAbility,
    shown: Picture | PictureGroup,
    *about: Any,
) -> PictureDialogueRequest | GroupDialogueRequest:
    if isinstance(shown, PictureGroup):
        assert isinstance(ability, MultiImageAbility)
        return GroupDialogueRequest(settings, ability, shown, *about)
    return PictureDialogueRequest(settings, single_image(ability), shown, *about)


def _part_key(
    settings: ChatAuthorSettings, ability: AnyAbility, shown: Picture | PictureGroup, part: DialogueSlot
) -> Mapping[str, object]:
    if isinstance(shown, PictureGroup):
        assert isinstance(ability, MultiImageAbility)
        return group_part_key(settings, ability, shown, part)
    return part_key(settings, single_image(ability), shown, part)


def _requests(planned: Sequence[_Planned]) -> list[BundledRequest]:
    """The distinct requests of planned rows, in order."""
    found = {id(request): request for row in planned if (request := row.inputs.request) is not None}
    return list(found.values())


def _specs(rows: Sequence[PlannedRow[_PromptInputs]], answered: AnsweredRow) -> Iterator[PromptSpec]:
    """The rows of a prompt, or of a group, which is made as a whole or not at all."""
    ability, slot = rows[0].inputs.ability, rows[0].inputs.slot
    if isinstance(slot, GroupSlot):
        columns, result = _result(answered, partial(group_columns, slot), unwritten_group_columns(slot))
    else:
        single = single_image(ability)
        columns, result = _result(
            answered, lambda written: [prompt_columns(single, slot, written)], [unwritten_columns(slot)]
        )
    costs = answered.row_cost.shares(len(columns))
    for row in rows:
        at = row.inputs.number - 1
        group_id = row.inputs.unit if isinstance(slot, GroupSlot) else None
        is_exact = isinstance(slot, GroupSlot) and slot.exact
        yield {
            "spec_id": row.row_id,
            "ability": ability.ability,
            "batch": row.inputs.batch,
            "negative_prompt": ability.negative_prompt,
            "seed": derive_seed(group_id if is_exact else row.row_id),
            "group_id": group_id,
            "image_number": None if group_id is None else row.inputs.number,
            "author": ChatAuthor.name,
            "template_version": row.inputs.guidance_hash,
            **_request_columns(row, answered, costs[at]),
            **columns[at],
            "row_key": row.row_key,
            **result,
        }


def _dialogue(row: PlannedRow[_DialogueInputs], answered: AnsweredRow, sees_picture: bool) -> Dialogue:
    shown, part, ability = row.inputs.shown, row.inputs.part, row.inputs.ability

    def converted(written: BaseModel) -> Conversation:
        if isinstance(shown, PictureGroup):
            assert isinstance(ability, MultiImageAbility)
            return group_dialogue_columns(ability, row.row_id, shown, part, written)
        return dialogue_columns(row.row_id, shown, part, written)

    columns, result = _result(answered, converted, UNWRITTEN)
    return {
        "pair_id": row.row_id,
        "ability": ability.ability,
        "batch": row.inputs.batch,
        "spec_ids": [picture.spec_id for picture in shown.pictures],
        "image_ids": [picture.image_id for picture in shown.pictures],
        "question_kind": part.kind,
        "author": ChatAuthor.name,
        "sees_picture": sees_picture,
        **_request_columns(row, answered, answered.row_cost),
        **columns,
        "row_key": row.row_key,
        **result,
    }


def _request_columns(row: _Planned, answered: AnsweredRow, row_cost: RowCost) -> Asked:
    return {
        "model": answered.outcome.model,
        "prompt_tokens": row_cost.prompt_tokens,
        "completion_tokens": row_cost.completion_tokens,
        "cost_usd": None if row_cost.cost_usd is None else float(row_cost.cost_usd),
        "request_id": answered.outcome.request_id,
        "example_ids": list(row.inputs.example_ids),
    }


def _result(
    answered: AnsweredRow, columns: Callable[[BaseModel], ColumnsT], unwritten: ColumnsT
) -> tuple[ColumnsT, _Result]:
    """The content columns of the answer, or ``unwritten`` if it cannot be used; and the outcome columns."""
    outcome = answered.outcome
    if answered.written is None:
        return unwritten, {"status": outcome.status, "reason": outcome.reason, "fault": outcome.fault}
    try:
        return columns(answered.written), {"status": MADE, "reason": None}
    except UnusableTextError as error:
        return unwritten, {"status": FAILED, "reason": str(error)}
