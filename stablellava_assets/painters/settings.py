"""What a profile may say about its painter."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.inputs.yaml_documents import Document, MistakeAtKeyError, UserPath


class EmbeddedPainterSettings(Document):
    """Small scenes composed of the Twemoji artwork, on the processor and without a network."""

    kind: Literal["embedded"]
    size: int = Field(144, ge=48, le=1024, description="Width and height of a picture, pixels.")
    workers: int | None = Field(None, ge=1, description="Processes that paint; unset: one a processor core.")


Scheduler = Literal[
    "ddim", "dpm++_2m", "dpm++_2m_karras", "euler", "euler_ancestral", "heun", "lcm", "unipc"
]  # fmt: skip


class C2paSettings(Document):
    """What pictures are signed with. Needs the package c2pa-python (the extra c2pa)."""

    certificate: UserPath = Field(
        description="PEM file: the signer's certificate, then those of its authorities. Relative paths start at the "
        "working directory."
    )
    private_key: UserPath = Field(description="PEM file of the signer's private key, not encrypted.")


class _GeneratedPictureSettings(Document):
    """Of painters whose pictures a model makes."""

    min_spread: float = Field(
        2.0,
        ge=0,
        le=100,
        description="Standard deviation of the grey values (0 to 255) below which a picture is uniform.",
    )

    # Not part of any row key: a signature changes no pixel.
    c2pa: C2paSettings | None = Field(
        None,
        exclude=True,
        description="Sign what is painted from now on (C2PA); unset: pictures are not signed. Changing this repaints nothing.",
    )


class DiffusionPainterSettings(_GeneratedPictureSettings):
    """Any text-to-image checkpoint that diffusers loads. docs/painters.md has settings for the usual ones."""

    kind: Literal["diffusion"]
    model: str = Field(
        min_length=1,
        description="Folder of a checkpoint in diffusers' layout, or its name on the Hugging Face Hub; a key for gated ones is "
        "read from HF_TOKEN.",
    )
    revision: str | None = Field(None, description="Commit or tag on the hub. Unset: main, which may change.")
    variant: str | None = Field(None, description="Files of the checkpoint to load, as in fp16. Unset: the plain ones.")
    width: int = Field(1024, ge=64, le=4096, multiple_of=8, description="Pixels.")
    height: int = Field(1024, ge=64, le=4096, multiple_of=8, description="Pixels.")
    steps: int = Field(30, ge=1, le=1000, description="Denoising steps.")
    guidance: float = Field(
        5.0, ge=0, le=50, description="Classifier-free guidance scale; up to 1 there is none, and no negative prompt."
    )
    scheduler: Scheduler | None = Field(None, description="Unset: the checkpoint's own.")
    negative_prompt: str = Field("", description="What no picture should show; an ability's own is put behind it.")
    emphasis: float = Field(
        1.1, ge=1, le=2, description="Weight that a pair of brackets multiplies; ((two)) of them have its square."
    )
    max_prompt_tokens: int | None = Field(
        None,
        ge=16,
        le=512,
        description="Most tokens that the text encoder reads, where a pipeline lets that be chosen (SD3, FLUX, Qwen-Image, "
        "PixArt, Sana); longer prompts fail. Unset: 256 of SD3 and FLUX, the pipeline's own of others. SD and SDXL read all.",
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 on a GPU that has units for it, float32 elsewhere."
    )
    device: Literal["auto", "cuda", "mps", "cpu"] = Field(
        "auto", description="auto: a GPU if there is one, else the processor."
    )
    offload: bool = Field(
        False,
        description="Keep in the GPU's memory only the part of the model that is at work: slower, in less memory.",
    )
    compile: bool = Field(
        False,
        description="Compile the blocks that the denoiser repeats: slower at the start of a run and at new sizes, then faster.",
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=256,
        description="Pictures painted at once, at most; halved whenever memory runs out. Unset: what fits into the GPU's "
        "memory (CUDA), else 4.",
    )
    retries: int = Field(
        2,
        ge=0,
        le=20,
        description="Times a blank, uniform or broken picture is painted again, with the next seed. Changing this repaints "
        "no picture, and tries again those that there are none of.",
    )
    repeated_prompts: Literal["each", "once"] = Field(
        "each",
        description="each: every row has its own seed; once: rows of one prompt share one picture, seeded by the prompt.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.offload and self.device in ("cpu", "mps"):
            raise MistakeAtKeyError(("offload",), f"moves parts between processor and GPU; device is {self.device}")
        if self.dtype == "float16" and self.device == "cpu":
            raise MistakeAtKeyError(("dtype",), "a processor paints in float32 or bfloat16")
        return self


class ApiPainterSettings(_GeneratedPictureSettings):
    """An endpoint that answers OpenAI's image requests (``/images/generations``)."""

    kind: Literal["api"]
    endpoint: EndpointSettings
    width: int = Field(1024, ge=16, le=8192, description="Pixels; endpoints offer few sizes.")
    height: int = Field(1024, ge=16, le=8192, description="Pixels.")
    quality: str | None = Field(None, description="As the endpoint names it, as in low or hd. Unset: not sent.")
    response_format: Literal["b64_json"] | None = Field(
        None,
        description="Set it where an endpoint would answer with an address otherwise; OpenAI's models refuse the field.",
    )
    seed_field: str | None = Field(
        None,
        min_length=1,
        description="Field of the request that takes the seed, where the endpoint has one. Unset: none.",
    )
    negative_prompt_field: str | None = Field(
        None, min_length=1, description="Field that takes the negative prompt, where the endpoint has one. Unset: none."
    )
    picture_tokens: int = Field(
        8192, ge=1, description="Most tokens that a picture counts as output; a budget reserves that much for each."
    )
    retries: int = Field(
        0,
        ge=0,
        le=20,
        description="Times a uniform or broken picture is paid again, with the next seed. Changing this repaints no picture, and "
        "asks again for those that there are none of.",
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
