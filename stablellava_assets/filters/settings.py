"""Every threshold of the filters. They live in the profile, so that a verdict can be traced to its numbers."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stablellava_assets.filters.findings import RuleName
from stablellava_assets.inputs.yaml_documents import Document, UserPath


class PromptRuleSettings(Document):
    """Rules for prompts."""

    max_keywords: int = Field(
        15,
        ge=1,
        description=(
            "Maximum number of keywords; with more, painters tend to drop the subject. The paper's prompts have 5 to 8."
        ),
    )
    max_characters: int = Field(
        300,
        ge=1,
        description=(
            "Maximum length in characters, about the 77 tokens that CLIP text encoders read; the rest is not painted."
        ),
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
        description="Tags at the end of prompts; a last keyword that is an incomplete tag was cut off.",
    )
    whole_tags: tuple[str, ...] = Field(
        ("detailed", "intricate", "high", "photo"),
        description="Incomplete closing tags that are keywords themselves.",
    )


class DialogueRuleSettings(Document):
    """Rules for answers."""

    max_answer_words: int = Field(
        120, ge=1, description="Maximum answer length in words; the released answers have at most 29."
    )
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
        description="Words that mark a guess in an answer.",
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
        description="Word of a subject, in lower case -> other words that count as naming it.",
    )


class SemanticTextSettings(Document):
    """Duplicate texts by sentence embedding. Similarities are cosines, 0 to 1."""

    model: str = Field(
        min_length=1, description="Folder or Hugging Face name of a sentence-embedding model that transformers loads."
    )
    near_prompt: float = Field(
        0.97,
        gt=0,
        le=1,
        description="Prompts about the same subject with at least this similarity are duplicates; 1: not compared.",
    )
    near_answer: float = Field(
        0.95,
        gt=0,
        le=1,
        description=(
            "Open answers about the same subject with at least this similarity are duplicates; 1: not compared."
        ),
    )
    batch_size: int = Field(64, ge=1, description="Texts per batch.")


class EmbeddedImageSettings(Document):
    """Duplicate images by image embedding. Similarities are cosines, 0 to 1."""

    model: str = Field(
        min_length=1,
        description="Folder or Hugging Face name of a CLIP, SigLIP, DINO or similar model of transformers.",
    )
    near_image: float = Field(
        0.97, gt=0, le=1, description="Images of the same subject with at least this similarity are duplicates."
    )
    near_benchmark_image: float = Field(
        0.97,
        gt=0,
        le=1,
        description=(
            "Images with at least this similarity to a photograph, to an image of a published benchmark, or to one "
            "under filters.avoid are contaminated, whatever their subject."
        ),
    )
    batch_size: int = Field(32, ge=1, description="Images per batch.")


class DuplicateSettings(Document):
    """Duplicate detection. Similarities are Jaccard indices of 5-byte shingles, 0 to 1."""

    specs_per_prompt: int = Field(
        1, ge=1, description="Maximum number of kept images per prompt; raise it to keep several seeds."
    )
    near_prompt: float = Field(
        0.9, gt=0.5, le=1, description="Prompts about the same subject with at least this similarity are duplicates."
    )
    pairs_per_answer: int = Field(
        3, ge=1, description="Maximum number of kept pairs with the same or nearly the same answer about one subject."
    )
    near_answer: float = Field(
        0.9, gt=0.5, le=1, description="Answers about the same subject with at least this similarity are duplicates."
    )
    image_bits: int = Field(
        2, ge=0, le=16, description="Maximum difference of duplicate images' perceptual hashes, in bits of 64."
    )
    across_abilities: bool = Field(
        False, description="Whether pairs are compared with earlier batches of all abilities or only of their own."
    )
    semantic_text: SemanticTextSettings | None = Field(
        None, description="Duplicates by text embedding. Unset: not compared."
    )
    embedded_images: EmbeddedImageSettings | None = Field(
        None, description="Duplicates by image embedding. Unset: not compared."
    )


_VISION_LANGUAGE_MODEL = (
    "previous: the tuned model of the newest row of llava_checkpoint; previous_base: the model it started from; else "
    "folder or Hugging Face name of a model that transformers loads for image-text-to-text."
)


class ClipScoreSettings(Document):
    """CLIPScore of image and caption: 2.5 times the cosine of their CLIP or SigLIP vectors, minimum 0."""

    model: str = Field(min_length=1, description="Folder or Hugging Face name of a CLIP or SigLIP model.")
    min_score: float = Field(
        ge=0,
        le=2.5,
        description="Minimum CLIPScore of an image. It depends on the model: look at the scores first.",
    )
    prefix: str = Field(
        "A photo depicts ",
        description="Prefix of the caption; the default is the paper's, measured for CLIP ViT-B/32.",
    )
    batch_size: int = Field(64, ge=1, description="Images per batch.")


class VqaScoreSettings(Document):
    """VQAScore: the probability by a vision-language model that the image shows the whole caption."""

    model: str = Field(min_length=1, description=_VISION_LANGUAGE_MODEL)
    min_score: float = Field(ge=0, le=1, description="Minimum probability of an image.")
    question: str = Field(
        'Does this figure show "{caption}"? Please answer yes or no.',
        description=(
            "The question; {caption} is the part of the prompt that an image can show. The default is the paper's."
        ),
    )
    answer: str = Field("Yes", description="The answer whose probability is the score; it may contain {caption}.")
    batch_size: int = Field(32, ge=1, description="Questions per batch.")

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
    """Question and threshold of one fact of the prompt."""

    model: str = Field(min_length=1, description=_VISION_LANGUAGE_MODEL)
    min_score: float = Field(ge=0, le=1, description="Minimum probability of an image.")
    of_ability: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        {}, description="Ability -> its own threshold, if the fact is harder to see, such as a scene behind a style."
    )
    answers: Literal["auto", "catalog", "caption", "yes"] = Field(
        "auto",
        description=(
            "The answer whose probability is the score. catalog: the ability's own words for yes, as in the training "
            "of the project's checkpoints (It is a koala, so yes.); caption: the fact in a caption, as in the "
            "training of the project's bases; yes: the word Yes. auto: catalog for previous, caption for "
            "previous_base, else yes."
        ),
    )

    def min_score_of(self, ability: str) -> float:
        """The threshold for pictures of an ability."""
        return self.of_ability.get(ability, self.min_score)


class FactSettings(Document):
    """One question per fact of the prompt that is named here; the weakest fact decides."""

    ask: dict[FactName, FactQuestionSettings] = Field(
        min_length=1,
        description=(
            "Fact -> how it is scored. thing: what has the color; keyword: what a chat model was told to write about. "
            "A prompt without the fact is not scored for it."
        ),
    )
    batch_size: int = Field(64, ge=1, description="Questions per batch.")


class AlignmentSettings(Document):
    """Text-image alignment. Scores are in the table alignment_scores."""

    clip: ClipScoreSettings | None = Field(None, description="CLIPScore. Unset: not computed.")
    vqa: VqaScoreSettings | None = Field(None, description="VQAScore. Unset: not computed.")
    facts: FactSettings | None = Field(None, description="One question per fact. Unset: not asked.")
    rejudge: bool = Field(
        False,
        description=(
            "With previous: whether every new checkpoint scores all images again, including those that were accepted "
            "without a checkpoint. If not, an image is scored once."
        ),
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


class AnswerableSettings(Document):
    """Pairs whose answer the text of their question gives away, and how many of them are kept."""

    max_share: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Maximum share of such pairs among the kept pairs of a batch; those above it are rejected.",
    )
    of_ability: dict[str, Annotated[float, Field(ge=0, lt=1)]] = Field(
        {}, description="Ability -> its own maximum share."
    )
    certainty: float = Field(
        0.8,
        gt=0.5,
        lt=1,
        description=(
            "Share of the other questions of the batch with the same word, words or pattern that have the same answer, "
            "from which the text gives it away. Four questions with another answer are added to those counted, so that "
            "little follows from rare words."
        ),
    )

    def max_share_of(self, ability: str) -> float:
        """The quota of an ability."""
        return self.of_ability.get(ability, self.max_share)


class GroupRuleSettings(Document):
    """Rules for pairs about several images."""

    min_image_difference: float = Field(
        12.0,
        ge=0,
        le=255,
        description=(
            "Minimum difference between two images of a pair where they differ most, in grey values (0 to 255) of "
            "images reduced to 32 x 32 pixels."
        ),
    )


class AvoidedSettings(Document):
    """A benchmark that is scored elsewhere: its images, and the questions that stand beside them."""

    name: str = Field(min_length=1, description="Name in explanations and tables.")
    images: UserPath = Field(
        description=(
            "A folder with images or .parquet files, in subfolders as well, or one such file. Images in columns of "
            "bytes, or of structs with a field bytes, as in Hugging Face datasets, or of lists of these."
        )
    )
    question: str = Field("question", description="Column of .parquet files with questions; read where it exists.")


class FilterSettings(Document):
    """Settings that decide whether a pair is kept."""

    prompt: PromptRuleSettings = PromptRuleSettings()
    dialogue: DialogueRuleSettings = DialogueRuleSettings()
    groups: GroupRuleSettings = GroupRuleSettings()
    duplicates: DuplicateSettings = DuplicateSettings()
    alignment: AlignmentSettings | None = Field(
        None, description="Text-image alignment: whether images show what their prompts ask for. Unset: not scored."
    )
    answerable: AnswerableSettings | None = Field(
        None, description="Pairs that can be answered without the image. Unset: not looked for."
    )
    min_image_spread: float = Field(
        4.0, ge=0, description="Minimum standard deviation of the grey values (0 to 255); an image with less is blank."
    )
    contamination_bits: int = Field(
        2,
        ge=0,
        le=16,
        description="Maximum difference from a benchmark image's perceptual hash, in bits of 64, for contamination.",
    )
    # Part of no row key: contamination is looked for on every run.
    avoid: tuple[AvoidedSettings, ...] = Field(
        (),
        exclude=True,
        description=(
            "Images that no training pair may repeat, beside those of the benchmarks that are scored. Questions are "
            "noted."
        ),
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
        description="Rules that only add a note; all other rules reject the pair.",
    )
    # Not part of any row key: a decision concerns the pairs it names and no other.
    reviews: tuple[UserPath, ...] = Field(
        (),
        exclude=True,
        description=(
            "Files of human decisions (.csv or .jsonl: pair_id, decision, reviewer, note), which override every rule; "
            "later lines and files replace earlier ones. Relative paths start at the working directory."
        ),
    )
