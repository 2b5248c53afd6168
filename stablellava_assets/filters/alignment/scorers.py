"""The three alignment scorers behind one interface: CLIPScore, VQAScore and fact questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.filters.alignment.likelihoods import Exchange, answer_probabilities
from stablellava_assets.filters.alignment.models import (
    PREVIOUS,
    PREVIOUS_BASE,
    OwnCheckpoint,
    ScorerModel,
    fingerprint_of_named,
    load_named,
)
from stablellava_assets.filters.alignment.statements import (
    WHOLE_PROMPT,
    Answers,
    FactQuestions,
    Statement,
    caption_of,
    whole_answer_statement,
)
from stablellava_assets.filters.findings import Finding
from stablellava_assets.filters.settings import (
    AlignmentSettings,
    ClipScoreSettings,
    FactQuestionSettings,
    FactSettings,
    VqaScoreSettings,
)
from stablellava_assets.tables.pair_rows import AlignmentScore, WrittenSpec

if TYPE_CHECKING:
    from PIL import Image

ScorerName = Literal["clip", "vqa", "facts"]

_CLIP_SCORE_WEIGHT = 2.5
"""Rescales cosines to about 0 to 1 (Hessel et al., CLIPScore, 2021)."""


class Scorer(Protocol):
    """Scores how well images match statements."""

    name: ScorerName
    batch_size: int

    def named(self, fact: str) -> str:
        """Name in the profile of the model that scores ``fact``."""

    def model_of(self, fact: str) -> str | None:
        """Identity of the model that scores ``fact``, part of every score's row key; None if there is no model yet."""

    def fingerprint_of(self, fact: str) -> str | None:
        """Content hash of the model's folder, also part of the row key; None if the name alone identifies the model."""

    def is_own(self, fact: str) -> bool:
        """Whether the model is one of the project's own checkpoints, which change with every round of tuning."""

    def threshold(self, fact: str, ability: str) -> float:
        """The score of ``fact`` below which an image of ``ability`` is rejected."""

    def statements(self, spec: WrittenSpec) -> list[Statement]:
        """The statements to score for an image of a ``prompt_specs`` row."""

    def score(self, pictures: Sequence[Image.Image], statements: Sequence[Statement]) -> list[float]:
        """One score per image and statement; the statements must have no ``problem``.

        Raises:
            PretrainedModelError: the model cannot be loaded.
        """

    def finding(self, score: AlignmentScore, threshold: float) -> Finding:
        """The finding for an ``alignment_scores`` row whose score is below ``threshold``."""


def fact_and_text(score: AlignmentScore) -> str:
    """What an ``alignment_scores`` row is about, as the beginning of a sentence."""
    return f"The {score['fact']} {score['claim']!r}"


def _score_and_threshold(score: AlignmentScore, threshold: float) -> str:
    return f"{score['score']:.3f}; at least {threshold:g} is asked ({score['model']})."


class ClipScorer:
    """CLIPScore (Hessel et al., 2021) of image and caption, with any CLIP or SigLIP model of transformers."""

    name: ScorerName = "clip"

    def __init__(self, settings: ClipScoreSettings) -> None:
        self._settings = settings
        self.batch_size = settings.batch_size

    def named(self, fact: str) -> str:
        """The model's name in the profile."""
        return self._settings.model

    def model_of(self, fact: str) -> str | None:
        """The model's name in the profile."""
        return self._settings.model

    def fingerprint_of(self, fact: str) -> str | None:
        """Content hash of the folder, if the profile names one."""
        return self._fingerprint

    def is_own(self, fact: str) -> bool:
        """Always false."""
        return False

    def threshold(self, fact: str, ability: str) -> float:
        """The same threshold for every fact and ability."""
        return self._settings.min_score

    def statements(self, spec: WrittenSpec) -> list[Statement]:
        """The caption, preceded by the prefix from the settings."""
        return [Statement(WHOLE_PROMPT, self._settings.prefix + caption_of(spec))]

    def score(self, pictures: Sequence[Image.Image], statements: Sequence[Statement]) -> list[float]:
        """2.5 times the cosine similarity of image and caption, at least 0."""
        import torch

        model, processor = self._loaded
        # SigLIP was trained on texts padded to its full length; CLIP ignores everything after the end token.
        padding = "max_length" if "siglip" in model.config.model_type else True
        inputs = processor(
            images=list(pictures),
            text=[statement.text for statement in statements],
            padding=padding,
            truncation=True,
            return_tensors="pt",
        ).to(model.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
        with torch.inference_mode():
            output = model(**inputs)
            cosines = torch.cosine_similarity(output.image_embeds.float(), output.text_embeds.float())
        return [_CLIP_SCORE_WEIGHT * max(0.0, cosine) for cosine in cosines.tolist()]

    @cached_property
    def _fingerprint(self) -> str | None:
        return fingerprint_of_named("filters.alignment.clip.model", self._settings.model)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModel

        return load_named("filters.alignment.clip.model", self._settings.model, AutoModel)

    def finding(self, score: AlignmentScore, threshold: float) -> Finding:
        """Names the caption."""
        return Finding(
            "low_clip_score", f"The CLIPScore of {score['claim']!r} is {_score_and_threshold(score, threshold)}"
        )


class _AnswerScorer:
    """Scorer that uses the probability of an answer by a vision-language model."""

    def __init__(self, models: Mapping[str, ScorerModel]) -> None:
        self._models = models

    def named(self, fact: str) -> str:
        """The model's name in the profile, which may be ``previous`` or ``previous_base``."""
        return self._models[fact].name

    def model_of(self, fact: str) -> str | None:
        """The model's name in the profile, or the id of the project's checkpoint."""
        return self._models[fact].identity

    def fingerprint_of(self, fact: str) -> str | None:
        """Content hash of the folder, if the profile names one."""
        return self._models[fact].fingerprint

    def is_own(self, fact: str) -> bool:
        """Whether the profile says ``previous`` or ``previous_base``."""
        return self._models[fact].is_own

    def score(self, pictures: Sequence[Image.Image], statements: Sequence[Statement]) -> list[float]:
        """The probability of each statement's answer to its question."""
        scores = [0.0] * len(statements)
        for identity in dict.fromkeys(self.model_of(statement.fact) for statement in statements):
            chosen = [at for at, statement in enumerate(statements) if self.model_of(statement.fact) == identity]
            model, processor = self._load(self._models[statements[chosen[0]].fact])
            asked = [_exchange(pictures[at], statements[at]) for at in chosen]
            for at, score in zip(chosen, answer_probabilities(model, processor, asked), strict=True):
                scores[at] = score
        return scores

    def _load(self, model: ScorerModel) -> tuple[Any, Any]:
        if model.identity not in self._loaded:
            self._loaded[model.identity] = model.load()
        return self._loaded[model.identity]

    @cached_property
    def _loaded(self) -> dict[str | None, tuple[Any, Any]]:
        return {}


def _exchange(picture: Image.Image, statement: Statement) -> Exchange:
    if statement.question is None or statement.answer is None or statement.part is None:
        raise ValueError(f"{statement} is no question, so it cannot be asked")
    return Exchange(picture, statement.question, statement.answer, statement.part)


class VqaScorer(_AnswerScorer):
    """VQAScore (Lin et al., 2024): one question about the whole caption."""

    name: ScorerName = "vqa"

    def __init__(self, settings: VqaScoreSettings, checkpoint: OwnCheckpoint | None) -> None:
        super().__init__({WHOLE_PROMPT: ScorerModel("filters.alignment.vqa.model", settings.model, checkpoint)})
        self._settings = settings
        self.batch_size = settings.batch_size

    def threshold(self, fact: str, ability: str) -> float:
        """The same threshold for every fact and ability."""
        return self._settings.min_score

    def statements(self, spec: WrittenSpec) -> list[Statement]:
        """One statement: the caption, in the settings' wording."""
        caption = caption_of(spec)
        question, answer = (text.format(caption=caption) for text in (self._settings.question, self._settings.answer))
        return [whole_answer_statement(WHOLE_PROMPT, caption, question, answer)]

    def finding(self, score: AlignmentScore, threshold: float) -> Finding:
        """Names the caption."""
        return Finding(
            "low_vqa_score", f"The VQAScore of {score['claim']!r} is {_score_and_threshold(score, threshold)}"
        )


class FactScorer(_AnswerScorer):
    """One question per fact, which tells an image with the right subject in the wrong place from a good one."""

    name: ScorerName = "facts"

    def __init__(self, settings: FactSettings, catalog: Catalog, checkpoint: OwnCheckpoint | None) -> None:
        """Raises :class:`ValueError` if the settings name an ability that ``catalog`` does not have."""
        asked = settings.ask.items()
        super().__init__(
            {
                fact: ScorerModel(f"filters.alignment.facts.ask.{fact}.model", ask.model, checkpoint)
                for fact, ask in asked
            },
        )
        self._ask: Mapping[str, FactQuestionSettings] = dict(asked)
        for fact, ask in asked:
            if unknown := sorted(ask.of_ability.keys() - catalog.keys()):
                raise ValueError(
                    f"filters.alignment.facts.ask.{fact}.of_ability: there is no ability {unknown[0]!r}; "
                    f"the catalog has {', '.join(catalog)}"
                )
        self.batch_size = settings.batch_size
        self._questions = FactQuestions(catalog, {fact: _answers(ask) for fact, ask in asked})

    def threshold(self, fact: str, ability: str) -> float:
        """The fact's threshold, or the ability's own if it has one."""
        return self._ask[fact].min_score_of(ability)

    def statements(self, spec: WrittenSpec) -> list[Statement]:
        """One statement per fact that the settings name and the prompt has."""
        return list(self._questions.about(spec))

    def finding(self, score: AlignmentScore, threshold: float) -> Finding:
        """Names the fact, the question and the answer."""
        asked = (
            f"to {score['question']!r}, {score['answer']!r} has the probability "
            f"{_score_and_threshold(score, threshold)}"
        )
        return Finding("fact_not_shown", f"{fact_and_text(score)} is not shown: {asked}")


def scorers_of(settings: AlignmentSettings, catalog: Catalog, checkpoint: OwnCheckpoint | None) -> list[Scorer]:
    """The scorers that ``settings`` name; ``checkpoint`` is the one that ``previous`` refers to, if any."""
    scorers: list[Scorer] = []
    if settings.clip is not None:
        scorers.append(ClipScorer(settings.clip))
    if settings.vqa is not None:
        scorers.append(VqaScorer(settings.vqa, checkpoint))
    if settings.facts is not None:
        scorers.append(FactScorer(settings.facts, catalog, checkpoint))
    return scorers


def _answers(ask: FactQuestionSettings) -> Answers:
    if ask.answers != "auto":
        return ask.answers
    natural: dict[str, Answers] = {PREVIOUS: "catalog", PREVIOUS_BASE: "caption"}
    return natural.get(ask.model, "yes")
