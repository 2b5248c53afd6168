"""The chat author: a chat model behind an OpenAI-compatible endpoint writes the prompts and the dialogues."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property, partial
from typing import TypeVar

from pydantic import BaseModel

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.catalog import AnyAbility, Catalog, single_image
from stablellava_assets.authors.chat.cleaning import UnusableTextError
from stablellava_assets.authors.chat.dialogue_kinds import DialogueSlot, parts_of
from stablellava_assets.authors.chat.dialogue_requests import DialogueRequest, Picture, part_key, picture_of
from stablellava_assets.authors.chat.dialogue_rows import UNWRITTEN, dialogue_columns
from stablellava_assets.authors.chat.examples import dialogue_examples_of, prompt_examples
from stablellava_assets.authors.chat.forecast import BundledRequest, forecast
from stablellava_assets.authors.chat.pictures import Pictures
from stablellava_assets.authors.chat.prompt_requests import PromptRequest, guidance_key
from stablellava_assets.authors.chat.prompt_rows import prompt_columns, unwritten_columns
from stablellava_assets.authors.chat.rotation import Slot, drawn_slots, guided_slots
from stablellava_assets.authors.chat.row_answers import AnsweredRow, ask
from stablellava_assets.authors.chat.row_keys import KeyOf, key_rows
from stablellava_assets.authors.settings import ChatAuthorSettings
from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.failing import failing_key
from stablellava_assets.endpoint.usage import Forecast, Usage
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.state.sql import StatePlace
from stablellava_assets.tables.identity import content_key, derive_seed
from stablellava_assets.tables.pair_rows import Asked, Blamed, Dialogue, PaintedImage, PromptSpec, WrittenSpec
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.tables.schemas import DIALOGUES, FAILED, MADE, PROMPT_SPECS
from stablellava_assets.tables.store import ParquetStore

ColumnsT = TypeVar("ColumnsT")


@dataclass(frozen=True)
class _PromptInputs:
    """Inputs of a prompt; ``request`` is None if the row is published."""

    ability: Ability
    batch: str
    slot: Slot
    guidance_hash: str
    example_ids: tuple[str, ...]
    request: PromptRequest | None


@dataclass(frozen=True)
class _DialogueInputs:
    """Inputs of a dialogue; ``request`` is None if the row is published."""

    ability: Ability
    batch: str
    picture: Picture
    part: DialogueSlot
    example_ids: tuple[str, ...]
    request: DialogueRequest | None


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
        """All abilities of the catalog about single images.

        Raises:
            DocumentError: the profile sets quotas for an unknown ability.
        """
        if unknown := sorted(set(self._settings.ability_dialogues) - set(catalog.single)):
            known = ", ".join(catalog.single)
            raise DocumentError(f"author.ability_dialogues: no ability {unknown[0]!r}; the catalog has {known}")
        return list(catalog.single)

    def plan_prompts(self, ability: AnyAbility, batch: str, count: int) -> list[PlannedRow[_PromptInputs]]:
        """Plan ``count`` prompts, cycling through the subjects. A larger ``count`` only appends rows."""
        ability = single_image(ability)
        settings, partition = self._settings, (ability.ability, batch)
        slots = {
            content_key("spec", self.name, *partition, slot.index): slot for slot in self._slots(ability, batch, count)
        }
        guidance_hash = content_key(guidance_key(settings, ability))
        key_of = {
            spec_id: self._key_of(spec_id, guidance_hash, asdict(slot), ability.negative_prompt)
            for spec_id, slot in slots.items()
        }
        known = cache(partial(prompt_examples, self._store, ability, batch, settings.examples_from))
        failing = failing_key(settings.endpoint, settings.tokens_per_prompt)
        keyed = key_rows(self._store, PROMPT_SPECS, partition, key_of, known, settings.examples, failing)
        requests: dict[str, PromptRequest] = {}
        for row_ids, examples in keyed.blocks(lambda spec_id: slots[spec_id].index // settings.prompts_per_request):
            wanted = {row_id: slots[row_id] for row_id in row_ids}
            request = PromptRequest(settings, ability, batch, wanted, examples, keyed.failed)
            requests |= dict.fromkeys(row_ids, request)
        return [
            PlannedRow(
                spec_id,
                keyed.keys[spec_id],
                _PromptInputs(ability, batch, slot, guidance_hash, keyed.example_ids[spec_id], requests.get(spec_id)),
                failing,
            )
            for spec_id, slot in slots.items()
        ]

    def write_prompts(self, planned: Sequence[PlannedRow[_PromptInputs]]) -> Iterable[PromptSpec]:
        """Request the prompts, several per request.

        Raises:
            EndpointError: no request can succeed with these settings; the message names the one to change.
        """
        rows = {row.row_id: row for row in planned}
        return (_spec(rows[answered.row_id], answered) for answered in self._ask(rows))

    def plan_dialogues(
        self, ability: AnyAbility, painted: Sequence[tuple[WrittenSpec, PaintedImage]]
    ) -> list[PlannedRow[_DialogueInputs]]:
        """Plan the dialogues that the quotas require for every image."""
        ability = single_image(ability)
        if not painted:
            return []
        settings, partition = self._settings, (ability.ability, painted[0][0]["batch"])
        quotas = settings.quotas_of(ability.ability)
        pictures = [picture_of(ability, spec, image) for spec, image in painted]
        parts = {
            content_key("pair", self.name, picture.spec_id, part.key): (picture, part)
            for picture in pictures
            for part in parts_of(quotas, picture.spec_id)
        }
        key_of = {
            pair_id: self._key_of(pair_id, part_key(settings, ability, picture, part))
            for pair_id, (picture, part) in parts.items()
        }
        known = cache(partial(dialogue_examples_of, self._store, ability, partition[1], settings.examples_from))
        failing = failing_key(settings.endpoint, settings.tokens_per_answer)
        keyed = key_rows(self._store, DIALOGUES, partition, key_of, known, settings.examples, failing)
        encoded = Pictures(self._store, partition).encoded
        requests: dict[str, DialogueRequest] = {}
        for row_ids, examples in keyed.blocks(lambda pair_id: parts[pair_id][0].spec_id):
            picture = parts[row_ids[0]][0]
            asked = {row_id: parts[row_id][1] for row_id in row_ids}
            dialogue_request = DialogueRequest(settings, ability, picture, asked, examples, encoded, keyed.failed)
            requests |= dict.fromkeys(row_ids, dialogue_request)
        return [
            PlannedRow(
                pair_id,
                keyed.keys[pair_id],
                _DialogueInputs(
                    ability, partition[1], picture, part, keyed.example_ids[pair_id], requests.get(pair_id)
                ),
                failing,
            )
            for pair_id, (picture, part) in parts.items()
        ]

    def write_dialogues(self, planned: Sequence[PlannedRow[_DialogueInputs]]) -> Iterable[Dialogue]:
        """Request the dialogues, one request per image.

        Raises:
            EndpointError: no request can succeed with these settings; the message names the one to change.
        """
        rows = {row.row_id: row for row in planned}
        sees = self._settings.sees_pictures
        return (_dialogue(rows[answered.row_id], answered, sees) for answered in self._ask(rows))

    def forecast(self, planned: Sequence[_Planned]) -> Forecast:
        """The expected cost of writing these rows; nothing is sent."""
        return forecast(self._settings.endpoint, self._ledger_place, _requests(planned))

    def take_usage(self) -> Usage:
        """The usage since the last call."""
        taken, self._usage = self._usage, Usage()
        return taken

    @cached_property
    def _endpoint(self) -> ChatEndpoint:
        return ChatEndpoint(self._settings.endpoint, self._ledger_place)

    def _slots(self, ability: Ability, batch: str, count: int) -> list[Slot]:
        slots_of = drawn_slots if self._settings.subjects == "drawn" else guided_slots
        return slots_of(ability, batch, count)

    def _key_of(self, row_id: str, *parts: object) -> KeyOf:
        endpoint = self._settings.endpoint
        base = content_key(row_id, *parts, endpoint.model, endpoint.temperature, endpoint.extra_body)
        return lambda example_ids: content_key("chat row", base, list(example_ids))

    def _ask(self, rows: Mapping[str, _Planned]) -> Iterator[AnsweredRow]:
        return ask(self._endpoint, _requests(list(rows.values())), rows, self._usage)


def _requests(planned: Sequence[_Planned]) -> list[BundledRequest]:
    """The distinct requests of planned rows, in order."""
    found = {id(request): request for row in planned if (request := row.inputs.request) is not None}
    return list(found.values())


def _spec(row: PlannedRow[_PromptInputs], answered: AnsweredRow) -> PromptSpec:
    ability, slot = row.inputs.ability, row.inputs.slot
    columns, result = _result(answered, lambda written: prompt_columns(ability, slot, written), unwritten_columns(slot))
    return {
        "spec_id": row.row_id,
        "ability": ability.ability,
        "batch": row.inputs.batch,
        "negative_prompt": ability.negative_prompt,
        "seed": derive_seed(row.row_id),
        "author": ChatAuthor.name,
        "template_version": row.inputs.guidance_hash,
        **_request_columns(row, answered),
        **columns,
        "row_key": row.row_key,
        **result,  # type: ignore[typeddict-item]
    }


def _dialogue(row: PlannedRow[_DialogueInputs], answered: AnsweredRow, sees_picture: bool) -> Dialogue:
    picture, part = row.inputs.picture, row.inputs.part
    columns, result = _result(answered, lambda written: dialogue_columns(row.row_id, picture, part, written), UNWRITTEN)
    return {
        "pair_id": row.row_id,
        "ability": row.inputs.ability.ability,
        "batch": row.inputs.batch,
        "spec_ids": [picture.spec_id],
        "image_ids": [picture.image_id],
        "question_kind": part.kind,
        "author": ChatAuthor.name,
        "sees_picture": sees_picture,
        **_request_columns(row, answered),
        **columns,
        "row_key": row.row_key,
        **result,
    }


def _request_columns(row: _Planned, answered: AnsweredRow) -> Asked:
    row_cost = answered.row_cost
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
