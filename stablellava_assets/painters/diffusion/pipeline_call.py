"""Arguments of a pipeline call. A setting that is recorded in rows is either passed on or refused, never ignored."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from stablellava_assets.painters.base import PainterError
from stablellava_assets.painters.settings import DiffusionPainterSettings


def call_arguments(pipeline: Any, settings: DiffusionPainterSettings) -> dict[str, Any]:
    """Keyword arguments for ``pipeline`` from the settings, besides prompts and generators.

    Raises:
        PainterError: the pipeline does not support a setting.
    """
    arguments = {
        "num_inference_steps": settings.steps,
        "width": settings.width,
        "height": settings.height,
        **_guidance(pipeline, settings.guidance),
        "output_type": "pt",
    }
    if settings.max_prompt_tokens is not None:
        arguments["max_sequence_length"] = settings.max_prompt_tokens
    if missing := sorted({"generator", *arguments} - _taken(pipeline)):
        raise PainterError(f"painter.model: {_name(pipeline)} takes no {missing[0]}; use another checkpoint")
    return arguments


def editing_pipeline(pipeline: Any) -> Any:
    """The image-to-image pipeline of the same checkpoint, which shares its parts.

    Raises:
        PainterError: there is none.
    """
    from diffusers import AutoPipelineForImage2Image

    try:
        editing = AutoPipelineForImage2Image.from_pipe(pipeline)
    except ValueError:
        raise PainterError(
            f"painter.edit_strength: there is no image-to-image pipeline for {_name(pipeline)}; leave it unset, or use "
            "another checkpoint"
        ) from None
    editing.set_progress_bar_config(disable=True)
    return editing


def editing_arguments(pipeline: Any, arguments: Mapping[str, Any], strength: float) -> dict[str, Any]:
    """Keyword arguments for an image-to-image pipeline, besides prompts, generators and images, from those of the
    pipeline that painted the images; their size is that of the images.

    Raises:
        PainterError: the pipeline does not support a setting.
    """
    edited = {name: value for name, value in arguments.items() if name not in ("width", "height")}
    if missing := sorted({"generator", "image", "strength", *edited} - _taken(pipeline)):
        raise PainterError(f"painter.edit_strength: {_name(pipeline)} takes no {missing[0]}; leave it unset")
    return {**edited, "strength": strength}


def takes_negative_prompt(pipeline: Any, settings: DiffusionPainterSettings) -> bool:
    """Whether the pipeline uses a negative prompt.

    Raises:
        PainterError: the profile has a negative prompt, but the pipeline does not support it.
    """
    from diffusers import FluxPipeline

    # FLUX uses one only for a second kind of guidance, which evaluates every step twice.
    has_one = "negative_prompt" in _taken(pipeline) and not isinstance(pipeline, FluxPipeline)
    if has_one and settings.guidance > 1:
        return True
    if settings.negative_prompt:
        why = f"painter.guidance is {settings.guidance:g}" if has_one else f"{_name(pipeline)} takes none"
        raise PainterError(f"painter.negative_prompt has no effect, since {why}; leave it out")
    return False


def prompt_limit(pipeline: Any, settings: DiffusionPainterSettings) -> int | None:
    """Maximum number of tokens before the pipeline truncates a text; None if it is not known to truncate.

    Raises:
        PainterError: the profile sets a limit, but the pipeline takes none.
    """
    default = _parameters(pipeline).get("max_sequence_length")
    if default is None:
        if settings.max_prompt_tokens is not None:
            raise PainterError(
                f"painter.max_prompt_tokens: {_name(pipeline)} does not let that be chosen; leave it unset"
            )
        longest = getattr(getattr(pipeline, "tokenizer", None), "model_max_length", None)
        # Tokenizers without a limit report a number of 30 digits.
        return longest if isinstance(longest, int) and longest < 1_000_000 else None
    return settings.max_prompt_tokens or default.default


def refuse_emphasis(pipeline: Any, settings: DiffusionPainterSettings) -> None:
    """For pipelines that take texts without weights.

    Raises:
        PainterError: the profile asks for weights.
    """
    if "emphasis" in settings.model_fields_set and settings.emphasis != 1:
        raise PainterError(f"painter.emphasis: {_name(pipeline)} weighs no words; leave it unset")


def _guidance(pipeline: Any, scale: float) -> dict[str, float]:
    """The guidance scale, under the name of the argument that the pipeline uses."""
    taken = _taken(pipeline)
    distilled = getattr(getattr(getattr(pipeline, "transformer", None), "config", None), "guidance_embeds", None)
    if "true_cfg_scale" in taken and not distilled:
        from diffusers import FluxPipeline

        if not isinstance(pipeline, FluxPipeline):
            return {"true_cfg_scale": scale}  # Qwen-Image keeps guidance_scale for a distilled one.
        if scale > 1:
            raise PainterError(
                f"painter.guidance: this {_name(pipeline)} was distilled to do without, as FLUX.1-schnell was; set it "
                "to 0"
            )
    return {"guidance_scale": scale}


def _parameters(pipeline: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(pipeline.__call__).parameters)


def _taken(pipeline: Any) -> set[str]:
    return set(_parameters(pipeline))


def _name(pipeline: Any) -> str:
    return type(pipeline).__name__
