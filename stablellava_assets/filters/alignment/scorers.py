"""The three scorers of alignment behind one interface: CLIPScore, VQAScore and questions a fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.filters.alignment.claims import WHOLE_PROMPT, Claim, FactQuestions, caption_of
from stablellava_assets.filters.alignment.likelihoods import Exchange, answer_probabilities
from stablellava_assets.filters.alignment.models import PREVIOUS, OwnCheckpoint, load_named, load_own
from stablellava_assets.filters.settings import ClipScoreSettings, FactQuestionSettings, VqaScoreSettings
from stablellava_assets.tables.rows import Row

if TYPE_CHECKING:
    from PIL import Image

ScorerName = Literal["clip", "vqa", "facts"]

_CLIP_SCORE_WEIGHT = 2.5
"""Rescales cosines to about 0 to 1 (Hessel et al., CLIPScore, 2021)."""


class Scorer(Protocol):
    """Says how well pictures show what is claimed of them."""

    name: ScorerName
    batch_size: int
    is_own: bool
    """Whether the model is the project's own, which changes with every round of tuning."""

    @property
    def model(self) -> str | None:
        """Which model scores: part of every score's key. None where there is none yet."""

    def claims(self, spec: Row) -> list[Claim]:
        """What is scored about a picture of a ``prompt_specs`` row."""

    def score(self, pictures: Sequence[Image.Image], claims: Sequence[Claim]) -> list[float]:
        """The score of each picture under its claim, which has no problem.

        Raises:
            ScoringModelError: the model cannot be loaded.
        """

    def threshold(self, fact: str) -> float:
        """The score of ``fact`` below which a picture is rejected."""


class ClipScorer:
    """CLIPScore (Hessel et al., 2021) of the picture and the prompt's caption, with any CLIP or SigLIP of transformers."""

    name: ScorerName = "clip"

    def __init__(self, settings: ClipScoreSettings) -> None:
        self._settings = settings
        self.batch_size = settings.batch_size
        self.model = settings.model
        self.is_own = False

    def claims(self, spec: Row) -> list[Claim]:
        """The caption, after the setting's prefix."""
        return [Claim(WHOLE_PROMPT, self._settings.prefix + caption_of(spec))]

    def score(self, pictures: Sequence[Image.Image], claims: Sequence[Claim]) -> list[float]:
        """2.5 times the cosine of picture and caption, at least 0."""
        import torch

        model, processor = self._loaded
        # SigLIP was trained on texts padded to its full length; CLIP looks no further than the end of the text.
        padding = "max_length" if "siglip" in model.config.model_type else True
        inputs = processor(
            images=list(pictures),
            text=[claim.text for claim in claims],
            padding=padding,
            truncation=True,
            return_tensors="pt",
        ).to(model.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
        with torch.inference_mode():
            output = model(**inputs)
            cosines = torch.cosine_similarity(output.image_embeds.float(), output.text_embeds.float())
        return [_CLIP_SCORE_WEIGHT * max(0.0, cosine) for cosine in cosines.tolist()]

    def threshold(self, fact: str) -> float:
        """One for all."""
        return self._settings.min_score

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModel

        return load_named("filters.alignment.clip.model", self._settings.model, AutoModel)


class _Asks:
    """A scorer that asks a vision-language model and goes by the probability of the answer that says yes."""

    setting: str

    def __init__(self, model: str, checkpoint: OwnCheckpoint | None) -> None:
        self._name = model
        self.is_own = model == PREVIOUS
        self._checkpoint = checkpoint

    @property
    def model(self) -> str | None:
        """The name in the profile, or which checkpoint ``previous`` is."""
        if not self.is_own:
            return self._name
        return self._checkpoint and f"llava_checkpoint {self._checkpoint.checkpoint_id}"

    def score(self, pictures: Sequence[Image.Image], claims: Sequence[Claim]) -> list[float]:
        """The probability of each claim's answer to its question."""
        model, processor = self._loaded
        exchanges = [
            Exchange(picture, claim.question or "", claim.answer or "")
            for picture, claim in zip(pictures, claims, strict=True)
        ]
        return answer_probabilities(model, processor, exchanges)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        if not self.is_own:
            from transformers import AutoModelForImageTextToText

            return load_named(self.setting, self._name, AutoModelForImageTextToText)
        if self._checkpoint is None:
            raise ValueError(f"{self.setting}: there is no previous checkpoint to ask; nothing should be scored")
        return load_own(self.setting, self._checkpoint)


class VqaScorer(_Asks):
    """VQAScore (Lin et al., 2024): one question about the whole caption."""

    name: ScorerName = "vqa"
    setting = "filters.alignment.vqa.model"

    def __init__(self, settings: VqaScoreSettings, checkpoint: OwnCheckpoint | None) -> None:
        super().__init__(settings.model, checkpoint)
        self._settings = settings
        self.batch_size = settings.batch_size

    def claims(self, spec: Row) -> list[Claim]:
        """The caption, in the settings' wording."""
        caption = caption_of(spec)
        asked = (text.format(caption=caption) for text in (self._settings.question, self._settings.answer))
        return [Claim(WHOLE_PROMPT, caption, *asked)]

    def threshold(self, fact: str) -> float:
        """One for all."""
        return self._settings.min_score


class FactScorer(_Asks):
    """A question a fact, so that a picture of the right subject in the wrong place is told from a good one."""

    name: ScorerName = "facts"
    setting = "filters.alignment.facts.model"

    def __init__(self, settings: FactQuestionSettings, catalog: Catalog, checkpoint: OwnCheckpoint | None) -> None:
        super().__init__(settings.model, checkpoint)
        self._thresholds: Mapping[str, float] = dict(settings.min_score)
        self.batch_size = settings.batch_size
        plain_yes = settings.answers == "yes" or (settings.answers == "auto" and settings.model != PREVIOUS)
        self._questions = FactQuestions(catalog, tuple(settings.min_score), plain_yes=plain_yes)

    def claims(self, spec: Row) -> list[Claim]:
        """A claim a fact that the settings name and the prompt has."""
        return list(self._questions.about(spec))

    def threshold(self, fact: str) -> float:
        """That of the fact."""
        return self._thresholds[fact]
