"""Every threshold of the filters. They live in the profile, so that a verdict can be traced to its numbers."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stablellava_assets.filters.findings import RuleName
from stablellava_assets.inputs.yaml_documents import Document, UserPath


class PromptRuleSettings(Document):
    """What a prompt may look like."""

    max_keywords: int = Field(
        15, ge=1, description="Keywords after which painters tend to drop the subject; the paper's style has 5 to 8."
    )
    max_characters: int = Field(
        300, ge=1, description="About the 77 tokens that CLIP text encoders read; what comes after them is not painted."
    )
    closing_tags: tuple[str, ...] = Field(
        (
            "detailed shading",
            "dramatic lighting",
            "dreamy",
            "fine carvings",
            "glowing",
            "high resolution",
            "highly detailed",
            "intricate details",
            "mysterious",
            "photorealistic",
            "soft light",
            "vibrant",
            "volumetric light",
            "4k",
            "8k",
        ),
        description="Tags that prompts end in; a last keyword that only begins one of them was cut off.",
    )
    whole_tags: tuple[str, ...] = Field(
        ("detailed", "intricate", "high", "photo"),
        description="Beginnings of closing tags that are keywords in their own right.",
    )


class DialogueRuleSettings(Document):
    """What an answer may look like."""

    max_answer_words: int = Field(120, ge=1, description="Longest answer; the released answers have at most 29 words.")
    hedges: tuple[str, ...] = Field(
        (
            "may",
            "might",
            "could",
            "possibly",
            "potentially",
            "perhaps",
            "presumably",
            "typically",
            "likely",
            "probably",
            "often",
            "usually",
            "commonly",
        ),
        description="Words by which an answer guesses instead of saying what the picture shows.",
    )
    other_names: dict[str, tuple[str, ...]] = Field(
        {
            "bike": ("bicycle",),
            "eating": ("meal",),
            "hugging": ("embrace",),
            "photos": ("photographs", "camera"),
            "talking": ("conversation",),
            "tv": ("television",),
        },
        description="Word of a subject, in lower case -> words by which an answer may name it instead.",
    )


class SemanticTextSettings(Document):
    """Which sentence-embedding model says that two texts mean the same. Similarities are cosines, 0 to 1."""

    model: str = Field(
        min_length=1, description="Folder or Hugging Face name of a sentence-embedding model that transformers loads."
    )
    near_prompt: float = Field(
        0.97, gt=0, le=1, description="Prompts about one subject at least this similar mean the same; 1: not compared."
    )
    near_answer: float = Field(
        0.95,
        gt=0,
        le=1,
        description="Open answers about one subject at least this similar say the same; 1: not compared.",
    )
    batch_size: int = Field(64, ge=1, description="Texts encoded at once.")


class EmbeddedImageSettings(Document):
    """Which vision tower says that two pictures show the same. Similarities are cosines, 0 to 1."""

    model: str = Field(
        min_length=1, description="Folder or Hugging Face name of a CLIP, SigLIP, DINO or like model of transformers."
    )
    near_image: float = Field(0.97, gt=0, le=1, description="Pictures of one subject at least this similar are one.")
    batch_size: int = Field(32, ge=1, description="Pictures encoded at once.")


class DuplicateSettings(Document):
    """When two rows are one. Similarities are Jaccard indices of 5-byte shingles, 0 to 1."""

    specs_per_prompt: int = Field(1, ge=1, description="Pictures kept of one prompt; raise it to keep several seeds.")
    near_prompt: float = Field(
        0.9, gt=0.5, le=1, description="Prompts about one subject that are at least this similar are one prompt."
    )
    pairs_per_answer: int = Field(
        3, ge=1, description="Pairs kept that describe one subject in the same, or nearly the same, words."
    )
    near_answer: float = Field(
        0.9, gt=0.5, le=1, description="Answers about one subject at least this similar are one answer."
    )
    image_bits: int = Field(
        2, ge=0, le=16, description="Bits of 64 in which the perceptual hashes of one picture painted twice may differ."
    )
    across_abilities: bool = Field(
        False, description="Whether pairs are compared with earlier batches of every ability, not of their own alone."
    )
    semantic_text: SemanticTextSettings | None = Field(
        None, description="Texts that mean the same in other words; unset: not compared by meaning."
    )
    embedded_images: EmbeddedImageSettings | None = Field(
        None, description="Pictures that show the same by a vision model's judgement; unset: not compared so."
    )


_VISION_LANGUAGE_MODEL = (
    "previous: the tuned model of the newest row of llava_checkpoint; previous_base: the model it started from; else "
    "folder or Hugging Face name of a model that transformers loads for image-text-to-text."
)


class ClipScoreSettings(Document):
    """CLIPScore of the picture and its caption: 2.5 times the cosine of their CLIP or SigLIP vectors, at least 0."""

    model: str = Field(min_length=1, description="Folder or Hugging Face name of a CLIP or SigLIP model.")
    min_score: float = Field(
        ge=0,
        le=2.5,
        description="CLIPScore below which a picture is rejected. It depends on the model: look at the scores first.",
    )
    prefix: str = Field(
        "A photo depicts ", description="Stands before the caption; the paper's, measured for CLIP ViT-B/32."
    )
    batch_size: int = Field(64, ge=1, description="Pictures scored at once.")


class VqaScoreSettings(Document):
    """VQAScore: the probability that a vision-language model says that the picture shows the whole caption."""

    model: str = Field(min_length=1, description=_VISION_LANGUAGE_MODEL)
    min_score: float = Field(ge=0, le=1, description="Probability below which a picture is rejected.")
    question: str = Field(
        'Does this figure show "{caption}"? Please answer yes or no.',
        description="What is asked; {caption} is what the prompt says that a picture can show. The wording is the paper's.",
    )
    answer: str = Field("Yes", description="The answer whose probability counts; it may hold {caption}, too.")
    batch_size: int = Field(32, ge=1, description="Questions asked at once.")

    @model_validator(mode="after")
    def _knows_its_slots(self) -> Self:
        for key in ("question", "answer"):
            try:
                getattr(self, key).format(caption="")
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(f"{key}: the only slot is {{caption}}: {error!r}") from error
        if "{caption}" not in self.question:
            raise ValueError("question: {caption} is missing, so every picture would be asked the same")
        return self


FactName = Literal["subject", "thing", "scene", "content", "style", "keyword"]


class FactQuestionSettings(Document):
    """How one fact of the prompt is asked about."""

    model: str = Field(min_length=1, description=_VISION_LANGUAGE_MODEL)
    min_score: float = Field(ge=0, le=1, description="Probability below which a picture is rejected.")
    of_ability: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        {}, description="Ability -> a threshold of its own, where the fact is harder to see, as a scene behind a style."
    )
    answers: Literal["auto", "catalog", "caption", "yes"] = Field(
        "auto",
        description="The answer whose probability counts. catalog: the ability's own words for yes, as the project's "
        "checkpoints learned them (It is a koala, so yes.); caption: the fact in the caption that the project's bases "
        "learned to write; yes: the word Yes. auto: catalog for previous, caption for previous_base, else yes.",
    )

    def min_score_of(self, ability: str) -> float:
        """The threshold for pictures of an ability."""
        return self.of_ability.get(ability, self.min_score)


class FactSettings(Document):
    """A question about every fact of the prompt that is named here; the weakest fact decides."""

    ask: dict[FactName, FactQuestionSettings] = Field(
        min_length=1,
        description="Fact -> how it is asked about. thing: what has the color; keyword: what a chat model was told to "
        "write about. A prompt without the fact is not asked about it.",
    )
    batch_size: int = Field(64, ge=1, description="Questions asked at once.")


class AlignmentSettings(Document):
    """Whether a picture shows what its prompt asked for. Scores are kept in the table alignment_scores."""

    clip: ClipScoreSettings | None = Field(None, description="CLIPScore; unset: not computed.")
    vqa: VqaScoreSettings | None = Field(None, description="VQAScore; unset: not computed.")
    facts: FactSettings | None = Field(None, description="A question a fact; unset: not asked.")
    rejudge: bool = Field(
        False,
        description="With previous: whether every new checkpoint scores again what an earlier one scored, or what was "
        "let through because there was none. If not, a picture is scored once.",
    )

    def min_score_of(self, scorer: str, fact: str, ability: str) -> float | None:
        """The threshold of a row of ``alignment_scores``; None where its scorer or fact is not asked for any more."""
        if scorer == "facts":
            asked = {str(name): question for name, question in self.facts.ask.items()} if self.facts is not None else {}
            return asked[fact].min_score_of(ability) if fact in asked else None
        whole = {"clip": self.clip, "vqa": self.vqa}[scorer]
        return None if whole is None else whole.min_score

    @model_validator(mode="after")
    def _scores_something(self) -> Self:
        if self.clip is None and self.vqa is None and self.facts is None:
            raise ValueError("name at least one scorer: clip, vqa or facts; leave alignment out to score nothing")
        return self


class FilterSettings(Document):
    """Everything that decides whether a pair is kept."""

    prompt: PromptRuleSettings = PromptRuleSettings()
    dialogue: DialogueRuleSettings = DialogueRuleSettings()
    duplicates: DuplicateSettings = DuplicateSettings()
    alignment: AlignmentSettings | None = Field(
        None, description="Whether pictures show what their prompts asked for; unset: not scored."
    )
    min_image_spread: float = Field(
        4.0, ge=0, description="Standard deviation of grey values (0 to 255) below which a picture counts as blank."
    )
    contamination_bits: int = Field(
        2,
        ge=0,
        le=16,
        description="Bits of 64 within which a picture counts as one of the benchmark's.",
    )
    noted_only: tuple[RuleName, ...] = Field(
        (
            "stray_prompt_text",
            "repeated_keyword",
            "stray_spaces",
            "no_final_punctuation",
            "hedged_answer",
            "subject_partly_named",
        ),
        description="Rules whose findings are recorded in the notes; findings of all other rules reject the pair.",
    )
    # Not part of any row key: a decision concerns the pairs it names and no other.
    reviews: tuple[UserPath, ...] = Field(
        (),
        exclude=True,
        description="Files of people's decisions (.csv or .jsonl: pair_id, decision, reviewer, note), the last word over "
        "every rule; later lines and files replace earlier ones. Relative paths start at the working directory.",
    )
