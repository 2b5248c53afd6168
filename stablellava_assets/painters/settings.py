"""What a profile may say about its painter."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.inputs.yaml_documents import Document, MistakeAtKeyError, UserPath


class BestOfSettings(Document):
    """Several images per prompt, of which the one with the highest alignment score is kept. Needs filters.alignment."""

    images: int = Field(
        ge=1,
        le=64,
        description=(
            "Images painted and scored per prompt; each is paid for. Prompts of groups of images, and those that no "
            "scorer can judge, get one."
        ),
    )


class _PainterSettings(Document):
    """Settings of every painter."""

    # What it makes of a row is part of the row's key by the keys of its candidates.
    best_of: BestOfSettings | None = Field(
        None,
        exclude=True,
        description=(
            "Paint several images per prompt and keep the best by filters.alignment. Batches only: no model chooses "
            "the benchmark's images. Unset: one image per prompt."
        ),
    )


class EmbeddedPainterSettings(_PainterSettings):
    """Small scenes composed of the Twemoji artwork, on the processor and without a network."""

    kind: Literal["embedded"]
    endpoint: ClassVar[None] = None
    size: int = Field(144, ge=48, le=1024, description="Width and height of an image, in pixels.")
    workers: int | None = Field(None, ge=1, description="Worker processes. Unset: one per processor core.")


Scheduler = Literal[
    "ddim", "dpm++_2m", "dpm++_2m_karras", "euler", "euler_ancestral", "heun", "lcm", "unipc"
]  # fmt: skip


class C2paSettings(Document):
    """Certificate for signing images. Requires the package c2pa-python (the extra c2pa)."""

    certificate: UserPath = Field(
        description=(
            "PEM file: the signer's certificate, then those of its authorities. Relative paths start at the "
            "working directory."
        )
    )
    private_key: UserPath = Field(description="PEM file of the signer's private key, not encrypted.")


class _GeneratedPictureSettings(_PainterSettings):
    """Settings of painters whose images a model makes."""

    min_spread: float = Field(
        2.0,
        ge=0,
        le=100,
        description="Minimum standard deviation of the grey values (0 to 255); an image with less is uniform.",
    )

    # Not part of any row key: a signature changes no pixel.
    c2pa: C2paSettings | None = Field(
        None,
        exclude=True,
        description="Sign new images (C2PA). Unset: images are not signed. Changing this repaints nothing.",
    )


_MOST_WORKERS = 64


def _workers(written: object) -> object:
    is_count = isinstance(written, int) and not isinstance(written, bool) and 1 <= written <= _MOST_WORKERS
    if written not in ("auto", "ray") and not is_count:
        raise ValueError(f"takes auto, ray, or a number of processes from 1 to {_MOST_WORKERS}")
    return written


class DiffusionPainterSettings(_GeneratedPictureSettings):
    """Any text-to-image checkpoint that diffusers loads. docs/painters.md has settings for the usual ones."""

    kind: Literal["diffusion"]
    endpoint: ClassVar[None] = None
    model: str = Field(
        min_length=1,
        description=(
            "Folder of a checkpoint in diffusers' layout, or its name on the Hugging Face hub; the token for gated "
            "ones is read from HF_TOKEN."
        ),
    )
    revision: str | None = Field(None, description="Commit or tag on the hub. Unset: main, which may change.")
    variant: str | None = Field(
        None, description="Variant of the checkpoint's files, such as fp16. Unset: the default files."
    )
    width: int = Field(1024, ge=64, le=4096, multiple_of=8, description="Pixels.")
    height: int = Field(1024, ge=64, le=4096, multiple_of=8, description="Pixels.")
    steps: int = Field(30, ge=1, le=1000, description="Denoising steps.")
    guidance: float = Field(
        5.0,
        ge=0,
        le=50,
        description="Classifier-free guidance scale; at 1 or less there is no guidance and no negative prompt.",
    )
    scheduler: Scheduler | None = Field(None, description="Sampler. Unset: the checkpoint's own.")
    negative_prompt: str = Field(
        "", description="What no image should show; the ability's own negative prompt is appended."
    )
    emphasis: float = Field(
        1.1, ge=1, le=2, description="Weight of one pair of brackets; ((two)) pairs multiply to its square."
    )
    max_prompt_tokens: int | None = Field(
        None,
        ge=16,
        le=512,
        description=(
            "Maximum number of tokens of the text encoder, for pipelines with that option (SD3, FLUX, Qwen-Image, "
            "PixArt, Sana); longer prompts fail. Unset: 256 for SD3 and FLUX, else the pipeline's default. SD and "
            "SDXL have no maximum."
        ),
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="Precision. auto: bfloat16 on a GPU with bfloat16 units, else float32."
    )
    device: Literal["auto", "cuda", "mps", "cpu"] = Field(
        "auto", description="Device. auto: a GPU if there is one, else the processor."
    )
    offload: bool = Field(
        False,
        description="Keep only the active part of the model in GPU memory: slower, with less memory.",
    )
    compile: bool = Field(
        False,
        description=(
            "Compile the repeated blocks of the denoiser: slower at the start of a run and at new sizes, then faster."
        ),
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=256,
        description=(
            "Maximum number of images per batch; halved whenever memory runs out. Unset: as many as fit into the "
            "GPU's memory (CUDA), else 4."
        ),
    )
    edit_strength: float | None = Field(
        None,
        gt=0,
        le=1,
        description=(
            "Makes further images of exact groups by image-to-image from the first: the share of the steps that paint "
            "over it. Unset: they are painted with the same seed."
        ),
    )
    # Not part of any row key: who paints changes no pixel.
    workers: Annotated[int | Literal["auto", "ray"], BeforeValidator(_workers)] = Field(
        "auto",
        exclude=True,
        description=(
            "Who paints a partition. auto: one process per GPU of this machine; a number: so many processes, each with "
            "a GPU of its own in turn; ray: one actor per GPU of the Ray cluster (the extra ray)."
        ),
    )
    retries: int = Field(
        2,
        ge=0,
        le=20,
        description=(
            "Number of retries for a blank, uniform or broken image, each with the next seed. Changing this keeps "
            "existing images and retries the missing ones."
        ),
    )
    repeated_prompts: Literal["each", "once"] = Field(
        "each",
        description=(
            "each: every row has its own seed; once: rows with the same prompt share one image, seeded by the prompt, "
            "except in groups of images."
        ),
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.offload and self.device in ("cpu", "mps"):
            raise MistakeAtKeyError(("offload",), f"moves parts between processor and GPU; device is {self.device}")
        if self.dtype == "float16" and self.device == "cpu":
            raise MistakeAtKeyError(("dtype",), "a processor paints in float32 or bfloat16")
        if self.repeated_prompts == "once" and self.best_of is not None:
            raise MistakeAtKeyError(
                ("repeated_prompts",), "rows with one prompt would share one image; painter.best_of needs each"
            )
        if self.edit_strength is not None:
            if self.offload:
                raise MistakeAtKeyError(
                    ("edit_strength",), "edits cannot be made while parts are offloaded; set one only"
                )
            if self.steps * self.edit_strength < 1:
                raise MistakeAtKeyError(
                    ("edit_strength",), f"{self.edit_strength:g} of {self.steps} steps is no step; raise one of them"
                )
        return self


class ApiPainterSettings(_GeneratedPictureSettings):
    """An endpoint that answers OpenAI's image requests (``/images/generations``, ``/images/edits``)."""

    kind: Literal["api"]
    endpoint: EndpointSettings
    width: int = Field(1024, ge=16, le=8192, description="Pixels; endpoints offer only a few sizes.")
    height: int = Field(1024, ge=16, le=8192, description="Pixels.")
    quality: str | None = Field(None, description="Quality by the endpoint's name, such as low or hd. Unset: not sent.")
    response_format: Literal["b64_json"] | None = Field(
        None,
        description="Set this if the endpoint would otherwise answer with a URL; OpenAI's models reject the field.",
    )
    seed_field: str | None = Field(
        None,
        min_length=1,
        description="Request field for the seed, if the endpoint has one. Unset: none.",
    )
    negative_prompt_field: str | None = Field(
        None, min_length=1, description="Request field for the negative prompt, if the endpoint has one. Unset: none."
    )
    edit_groups: bool = Field(
        False,
        description=(
            "Make the second and further images of an exact group (abilities about several images) as edits of its "
            "first image, by ``/images/edits``. Changing this repaints only these images."
        ),
    )
    picture_tokens: int = Field(
        8192, ge=1, description="Maximum output tokens of an image; the budget reserves this amount for each."
    )
    retries: int = Field(
        0,
        ge=0,
        le=20,
        description=(
            "Number of paid retries for a uniform or broken image, each with the next seed. Changing this keeps "
            "existing images and retries the missing ones."
        ),
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.endpoint.mode == "batch":
            raise MistakeAtKeyError(("endpoint", "mode"), "pictures are asked for live")
        for name in ("temperature", "output_limit_field"):
            if getattr(self.endpoint, name) is not None:
                raise MistakeAtKeyError(("endpoint", name), "image requests have none")
        return self


PainterSettings = Annotated[
    EmbeddedPainterSettings | DiffusionPainterSettings | ApiPainterSettings, Field(discriminator="kind")
]
