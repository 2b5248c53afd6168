"""The api painter: a model behind an endpoint that implements OpenAI's image requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from stablellava_assets.abilities.prompt_format import without_brackets
from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.failing import failing_key
from stablellava_assets.endpoint.forecasting import Expected, forecast
from stablellava_assets.endpoint.replies.picture_encoding import picture_bytes, picture_reader_key
from stablellava_assets.endpoint.requests import ChatOutcome, ImageRequest, PictureAnswer, image_request
from stablellava_assets.endpoint.usage import Forecast
from stablellava_assets.painters.api.edits import edit_instruction
from stablellava_assets.painters.base import FinishedImages, nothing_finished
from stablellava_assets.painters.edits import Inputs, Original, first_of_groups, originals_first, row_without_original
from stablellava_assets.painters.image_rows import as_sent, finish, image_row
from stablellava_assets.painters.picture_faults import uniform
from stablellava_assets.painters.provenance import Provenance, is_signed
from stablellava_assets.painters.settings import ApiPainterSettings
from stablellava_assets.painters.signing import PictureSigner, signer_of
from stablellava_assets.pictures.decoding import upright
from stablellava_assets.state.sql import StatePlace
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.pair_rows import ImageRow, PromptToPaint
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.tables.schemas import OF_SETTING

if TYPE_CHECKING:
    from PIL import Image

_VERSION = 1
"""Part of every row key. Increase it when the same settings and prompt would request a different image."""
_EDIT_VERSION = 1
"""The same for edits: increase it when the instruction is worded otherwise."""
_STAGE = "images"
_EDITS = "edited images"
_SEEDS = 2**31
"""Many endpoints store seeds in 32 bits."""


class UnusablePictureError(ValueError):
    """The endpoint did not send an image, or sent a uniform one."""


_Planned = PlannedRow[Inputs]


@dataclass(frozen=True)
class _Attempt:
    row: _Planned
    edited: bytes = b""
    """File of the original of an edit, which a forecast does without."""
    number: int = 0
    paid_before: Decimal | None = Decimal(0)
    """US dollars for the attempts before this one; None if unknown."""

    @property
    def seed(self) -> int:
        return (self.row.inputs["seed"] + self.number) % _SEEDS

    def cost_with(self, outcome: ChatOutcome) -> Decimal | None:
        """US dollars for this attempt and those before it; None if any is unknown or nothing was paid."""
        if self.paid_before is None or outcome.cost_usd is None:
            return None
        return self.paid_before + outcome.cost_usd


class ApiPainter:
    """Requests one image at a time, generated or edited.

    Each answer is written to the ledger before it is processed, and paid for once.
    Endpoints do not support emphasis, so prompts are sent without brackets. An image signed by its provider is stored
    unchanged, because any change to the file would invalidate the signature.

    Args:
        settings: the profile's.
        ledger_place: the ledger of paid images.
    """

    name = "api"
    is_slow = True

    def __init__(self, settings: ApiPainterSettings, ledger_place: StatePlace) -> None:
        self._settings = settings
        self._ledger_place = ledger_place

    def plan(self, specs: Sequence[PromptToPaint]) -> list[_Planned]:
        """Plan one image per spec. A row's key covers prompt, seed, model and request
        parameters, not the endpoint's address; that of an edit covers also the key of its original."""
        firsts = first_of_groups(specs) if self._settings.edit_groups else {}
        return [self._plan(spec, firsts.get(spec["spec_id"])) for spec in specs]

    def paint(self, planned: Sequence[_Planned], finished: FinishedImages = nothing_finished) -> Iterable[ImageRow]:
        """Request ``images`` rows. Refused ones fail with the reason, and those without an answer are deferred.

        An edit is requested after its original; if there is none, it fails or is deferred as that was.

        Raises:
            PainterError: images cannot be signed with these settings.
            EndpointError: no request can succeed with these settings; the message names the one to change.
            LedgerError: the ledger could not be written.
        """
        if planned:
            # Problems with the signer's files must surface before an image is paid for.
            _ = self._signer
        yield from originals_first(
            planned,
            finished,
            lambda rows: self._rows([_Attempt(row, original) for row, original in rows]),
            self._without_original,
        )

    def forecast(self, planned: Sequence[_Planned]) -> Forecast:
        """The expected cost of these rows; nothing is sent."""
        requests = (self._request(_Attempt(row)) for row in planned)
        expected = (Expected(request, request.max_output_tokens) for request in requests)
        return forecast(self._settings.endpoint, self._ledger_place, lambda ledger: expected)

    @cached_property
    def _endpoint(self) -> ChatEndpoint:
        return ChatEndpoint(self._settings.endpoint, self._ledger_place)

    @cached_property
    def _signer(self) -> PictureSigner | None:
        return signer_of(self._settings.c2pa)

    @cached_property
    def _settings_key(self) -> str:
        settings = self._settings
        own = settings.model_dump(
            mode="json", exclude={"endpoint", "retries", "picture_tokens", "response_format", "edit_groups"}
        )
        return content_key(_VERSION, own, settings.endpoint.model, settings.endpoint.extra_body)

    @cached_property
    def _failing_key(self) -> str:
        settings = self._settings
        others = (settings.response_format, settings.picture_tokens, settings.retries)
        return failing_key(settings.endpoint, picture_reader_key(), *others)

    def _plan(self, spec: PromptToPaint, first: PromptToPaint | None = None) -> _Planned:
        inputs: Inputs = {
            "spec_id": spec["spec_id"],
            "ability": spec["ability"],
            "batch": spec["batch"],
            "prompt": spec["prompt"],
            "negative_prompt": spec["negative_prompt"],
            "seed": spec["seed"],
        }
        image_id = content_key("image", spec["spec_id"], self.name)
        row_key = content_key("api row", self._settings_key, spec["prompt"], spec["negative_prompt"], spec["seed"])
        if first is not None:
            edited = self._plan(first)
            inputs["original"] = Original(edited.row_id, edited.row_key, first["spec_id"], first["prompt"])
            row_key = content_key("api edit", _EDIT_VERSION, row_key, edited.row_key)
        return PlannedRow(image_id, row_key, inputs, self._failing_key)

    def _rows(self, attempts: Sequence[_Attempt]) -> Iterator[ImageRow]:
        while attempts:
            retries: list[_Attempt] = []
            yield from self._round(attempts, retries)
            attempts = retries

    def _round(self, attempts: Sequence[_Attempt], retries: list[_Attempt]) -> Iterator[ImageRow]:
        """Send one request each; those to be repeated are appended to ``retries``."""
        waiting: dict[str, _Attempt] = {}

        def requests() -> Iterator[ImageRequest]:
            for tried in attempts:
                request = self._request(tried)
                waiting[request.request_id] = tried
                yield request

        for outcome in self._endpoint.ask(requests()):
            tried = waiting.pop(outcome.request_id)
            try:
                yield self._row(tried, outcome)
            except UnusablePictureError as error:
                if tried.number < self._settings.retries:
                    retries.append(replace(tried, number=tried.number + 1, paid_before=tried.cost_with(outcome)))
                else:
                    count = f", in {tried.number + 1} tries" if tried.number else ""
                    yield self._unpainted(tried, outcome, None, f"{error}{count}", OF_SETTING)

    def _request(self, tried: _Attempt) -> ImageRequest:
        settings, inputs = self._settings, tried.row.inputs
        fields: dict[str, object] = {"size": f"{settings.width}x{settings.height}"}
        optional: Mapping[str | None, object] = {
            "quality": settings.quality,
            "response_format": settings.response_format,
            settings.seed_field: tried.seed,
            settings.negative_prompt_field: without_brackets(inputs["negative_prompt"] or "") or None,
        }
        fields |= {name: value for name, value in optional.items() if name is not None and value is not None}
        original, sample = inputs.get("original"), f"{inputs['spec_id']} {tried.seed}"
        return image_request(
            settings.endpoint,
            stage=_STAGE if original is None else _EDITS,
            prompt=_sent_prompt(inputs),
            fields=fields,
            max_output_tokens=settings.picture_tokens,
            sample=sample if original is None else f"{sample} {original.row_key}",
            edited=None if original is None else tried.edited,
        )

    def _row(self, tried: _Attempt, outcome: ChatOutcome) -> ImageRow:
        if not isinstance(outcome.answer, PictureAnswer):
            return self._unpainted(tried, outcome, outcome.status, outcome.reason, outcome.fault)
        encoded, picture = _decoded(outcome.answer.b64_json, self._settings.min_spread)
        inputs, model = tried.row.inputs, outcome.model or self._settings.endpoint.model
        prompt = outcome.answer.revised_prompt or _sent_prompt(inputs)
        if is_signed(encoded):
            painted = as_sent(encoded, picture)
        else:
            parameters = {"EditOf": inputs["original"].row_id} if "original" in inputs else {}
            provenance = Provenance(model, prompt, inputs["spec_id"], parameters=parameters)
            painted = finish(picture, provenance, self._signer)
        return image_row(
            tried.row,
            painted,
            painter=self.name,
            model=model,
            seed=self._sent_seed(tried),
            cost_usd=tried.cost_with(outcome),
        )

    def _unpainted(
        self, tried: _Attempt, outcome: ChatOutcome, status: str | None, reason: str | None, fault: str | None
    ) -> ImageRow:
        return image_row(
            tried.row,
            None,
            painter=self.name,
            model=self._settings.endpoint.model,
            seed=self._sent_seed(tried),
            cost_usd=tried.cost_with(outcome),
            status=status,
            reason=reason,
            fault=fault,
        )

    def _without_original(self, row: _Planned, missing: ImageRow | None) -> ImageRow:
        model = self._settings.endpoint.model
        return row_without_original(row, missing, painter=self.name, model=model, cost_usd=Decimal(0))

    def _sent_seed(self, tried: _Attempt) -> int | None:
        """The seed that was sent; None if the endpoint takes none."""
        return tried.seed if self._settings.seed_field else None


def _sent_prompt(inputs: Inputs) -> str:
    prompt = without_brackets(inputs["prompt"])
    original = inputs.get("original")
    return prompt if original is None else edit_instruction(without_brackets(original.prompt), prompt)


def _decoded(sent: str, min_spread: float) -> tuple[bytes, Image.Image]:
    """The file that was sent in base64, and its image in RGB.

    Raises:
        UnusablePictureError: it is not an image, or a uniform one.
    """
    import numpy as np

    try:
        encoded = picture_bytes(sent)
        picture = upright(encoded)
    except ValueError as error:  # Of base64, or of the picture.
        raise UnusablePictureError(f"what the endpoint sent is no picture: {error}") from None
    if reason := uniform(float(np.asarray(picture.convert("L")).std()), min_spread):
        raise UnusablePictureError(reason)
    return encoded, picture
