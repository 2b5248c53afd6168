"""What a profile says about how models are measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stablellava_assets.endpoint.picture_parts import Detail
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.evaluation.kinds import ASKED_KINDS, AskedKind, is_reference
from stablellava_assets.evaluation.scores.power import WANTED_GAIN
from stablellava_assets.inputs.yaml_documents import Document, MistakeAtKeyError, UserPath

_TAKEN = ("ai", "photos", "diagnosis")


class JudgeSettings(Document):
    """A chat model that grades answers for which keywords do not suffice."""

    endpoint: EndpointSettings = Field(
        description="Grader endpoint and budget; the ledger and its budget are shared with the chat author."
    )
    kinds: tuple[AskedKind, ...] = Field(
        ("open",), min_length=1, description="Kinds of questions that are scored by the grade instead of keywords."
    )
    several_images: bool = Field(
        True,
        description=(
            "Whether answers about several synthesized images are also graded, from 1 to 5; the mean stands beside the "
            "scores."
        ),
    )
    max_output_tokens: int = Field(300, ge=32, description="Maximum output tokens for a grade and its reason.")


class ReferenceSettings(Document):
    """A model behind an endpoint that is asked the same questions, for comparison."""

    endpoint: EndpointSettings = Field(
        description="Endpoint and budget of the model, which must take images; the ledger and its budget are shared "
        "with the chat author."
    )
    name: str | None = Field(None, min_length=1, description="Name in the tables. Unset: that of the model.")
    picture_detail: Detail = Field("auto", description="Detail in which the endpoint looks at an image.")
    max_output_tokens: int = Field(
        512, ge=1, description="Maximum answer length in tokens, thoughts included; longer answers are cut off."
    )

    @property
    def title(self) -> str:
        """Its name in the tables."""
        return self.name or self.endpoint.model


class PopeSettings(Document):
    """A POPE file: yes-no questions about the objects in COCO images."""

    suite: Literal["pope"]
    file: UserPath = Field(description="File such as coco_pope_random.json; the split is the part after the last _.")
    images: UserPath = Field(description="Folder of the COCO images, such as val2014.")
    instruction: str = Field(
        "",
        description=(
            'Line added after each question. LLaVA-1.5 and lmms-eval add "Answer the question using a single word or '
            'phrase."; POPE adds nothing.'
        ),
    )
    name: str = Field("pope", min_length=1, description="Name in the tables.")
    max_new_tokens: int = Field(128, ge=1, le=4096, description="Maximum answer length in tokens.")


def pope_split(file: Path) -> str:
    """The split of a POPE file, such as ``random``."""
    return file.stem.rpartition("_")[2]


class MMBenchSettings(Document):
    """An MMBench file: questions with up to four options; the images are in the file."""

    suite: Literal["mmbench"]
    file: UserPath = Field(description="File such as MMBench_DEV_EN.tsv; it must contain the answers.")
    name: str = Field("mmbench", min_length=1, description="Name in the tables.")
    max_new_tokens: int = Field(64, ge=1, le=4096, description="Maximum answer length in tokens.")


class MMVetSettings(Document):
    """MM-Vet: open questions, each of which needs one or more capabilities. Requires a judge."""

    suite: Literal["mmvet"]
    file: UserPath = Field(description="File such as mm-vet.json.")
    images: UserPath = Field(description="Folder of its images.")
    name: str = Field("mmvet", min_length=1, description="Name in the tables.")
    max_new_tokens: int = Field(512, ge=1, le=4096, description="Maximum answer length in tokens.")


class SeveralPicturesSettings(Document):
    """A benchmark with several images per question, as Parquet files of the Hugging Face hub."""

    file: UserPath = Field(description="A .parquet file, or a folder with such files; they must contain the answers.")
    circular: bool = Field(
        True,
        description=(
            "Whether a choice is asked once per rotation of its options, and right only if right in every one; false: "
            "once, as lmms-eval does."
        ),
    )
    max_new_tokens: int = Field(64, ge=1, le=4096, description="Maximum answer length in tokens.")


class BlinkSettings(SeveralPicturesSettings):
    """BLINK: questions with up to five options about up to four images."""

    suite: Literal["blink"]
    name: str = Field("blink", min_length=1, description="Name in the tables.")


class MuirBenchSettings(SeveralPicturesSettings):
    """MuirBench: questions with options about several images, some of which cannot be answered."""

    suite: Literal["muirbench"]
    name: str = Field("muirbench", min_length=1, description="Name in the tables.")


class MantisEvalSettings(SeveralPicturesSettings):
    """Mantis-Eval: questions with options, and questions with a short answer, about several images."""

    suite: Literal["mantis_eval"]
    name: str = Field("mantis_eval", min_length=1, description="Name in the tables.")


SuiteSettings = Annotated[
    PopeSettings | MMBenchSettings | MMVetSettings | BlinkSettings | MuirBenchSettings | MantisEvalSettings,
    Field(discriminator="suite"),
]


class BenchmarkSettings(Document):
    """The held-out questions. Every synthesized item has its own image, so that items are independent."""

    items_per_kind: int = Field(
        50, ge=17, le=10_000, description="Items per ability and kind; 3 x 17 reach the 50 that a score needs."
    )
    diagnosis_items_per_kind: int = Field(
        0,
        ge=0,
        le=10_000,
        description=(
            "Further items per ability and kind that only the tuned model is asked, to see what it mistakes for what; "
            "they are in no score, and their own images and questions. 0: none."
        ),
    )
    answer_batch_size: int = Field(256, ge=1, description="Questions per batch.")
    max_new_tokens: int = Field(
        56, ge=1, le=1024, description="Maximum answer length for synthesized images and photographs, in tokens."
    )
    controls: bool = Field(
        True,
        description=(
            "Also ask the tuned model every question without the right images, to see what it answers without looking; "
            "two or three further answers per question."
        ),
    )
    wanted_gain: float = Field(
        WANTED_GAIN,
        gt=0,
        le=1,
        description=(
            "Gain in accuracy that verdicts should be able to show: `stablellava plan` says how many items that takes, "
            "and the report which verdicts could not have shown it."
        ),
    )
    photographs: UserPath | None = Field(
        None,
        description=(
            "Real photographs to evaluate on: a .jsonl file, or a folder with one (docs/measuring.md). Unset: none."
        ),
    )
    external: tuple[SuiteSettings, ...] = Field(
        (),
        description=(
            "Files of published benchmarks to evaluate on: suite pope, mmbench, mmvet, blink, muirbench or mantis_eval."
        ),
    )
    judge: JudgeSettings | None = Field(
        None, description="A chat model that grades open answers. Unset: scoring by keywords."
    )
    references: tuple[ReferenceSettings, ...] = Field(
        (), description="Models behind endpoints that are asked the same questions and compared with the tuned one."
    )

    @property
    def controlled_kinds(self) -> list[AskedKind]:
        """The kinds of question that have controls: those that keywords score, because controls are not graded."""
        graded = self.judge.kinds if self.judge else ()
        return [kind for kind in ASKED_KINDS if kind not in graded] if self.controls else []

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names: set[str] = set()
        for index, suite in enumerate(self.external):
            # Two data sets under one name would be merged, and their items confused.
            key = f"{suite.name} {pope_split(suite.file)}" if suite.suite == "pope" else suite.name
            if suite.name in _TAKEN or key in names:
                raise MistakeAtKeyError(("external", index, "name"), f"{key!r} is taken; give it another name")
            names.add(key)
            if suite.suite == "mmvet" and (self.judge is None or "open" not in self.judge.kinds):
                raise MistakeAtKeyError(
                    ("external", index, "suite"),
                    "MM-Vet is scored by a chat model: set benchmark.judge for open answers",
                )
        titles = [reference.title for reference in self.references]
        for index, title in enumerate(titles):
            if not is_reference(title) or title in titles[:index]:
                raise MistakeAtKeyError(("references", index, "name"), f"{title!r} is taken; give it another name")
        return self
