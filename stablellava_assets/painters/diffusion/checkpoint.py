"""Find, identify and load a checkpoint; all problems with it are reported before the first row."""

from __future__ import annotations

import errno
import json
import logging
import re
from pathlib import Path
from typing import Any, NamedTuple

from stablellava_assets.inputs.explained import system_message
from stablellava_assets.inputs.folders import files_below
from stablellava_assets.models.hub import (
    causes_of,
    exception_types,
    folder_fingerprints,
    from_pretrained_name,
    hub_fault,
    is_folder,
    summary_of,
)
from stablellava_assets.models.memory import is_out_of_memory
from stablellava_assets.models.precision import automatic_dtype
from stablellava_assets.models.quiet import quiet
from stablellava_assets.painters.base import PainterError
from stablellava_assets.painters.settings import DiffusionPainterSettings
from stablellava_assets.tables.identity import content_key

_INDEX = "model_index.json"
_WEIGHTS = re.compile(
    r"(?:model|pytorch_model|diffusion_pytorch_model|diffusion_flax_model)(?:\.(?P<variant>(?!\d{5}-of)[A-Za-z0-9_]+))?"
    r"(?:-\d{5}-of-\d{5})?\.(?:safetensors|bin)"
)
"""Matches names such as diffusion_pytorch_model.fp16-00001-of-00002.safetensors."""
_LOG = logging.getLogger(__name__)
_SCHEDULERS: dict[str, tuple[str, dict[str, object]]] = {
    "ddim": ("DDIMScheduler", {}),
    "dpm++_2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "dpm++_2m_karras": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "lcm": ("LCMScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
}


class Identity(NamedTuple):
    """A checkpoint's name in rows, and the hash that identifies it in their keys."""

    label: str
    key: str


def checkpoint_identity(settings: DiffusionPainterSettings) -> Identity:
    """Identity by name and revision on the hub, or by a folder's name and a hash of its
    files; the key is only the hash.

    The hash covers names, sizes and 64 samples of each file. It is fast and still
    distinguishes two trainings of one model.

    Raises:
        PainterError: the folder does not exist, or holds no pipeline.
    """
    folder = Path(settings.model).expanduser()
    if not is_folder(settings.model):
        named = f"{settings.model}@{settings.revision or 'main'}"
        return Identity(named, f"{named} {settings.variant}")
    if not folder.is_dir():
        raise PainterError(f"painter.model: there is no folder {folder}; name a checkpoint in diffusers' layout")
    if not (folder / _INDEX).is_file():
        raise PainterError(
            f"painter.model: {folder} holds no {_INDEX}, so it is no checkpoint in diffusers' layout; convert it with "
            "diffusers' scripts, or name another"
        )
    key = content_key(folder_fingerprints(folder), settings.variant)
    return Identity(f"{folder.resolve().name}@{key[:12]}", key)


def load_pipeline(settings: DiffusionPainterSettings) -> Any:
    """The checkpoint's text-to-image pipeline, on its device.

    Raises:
        PainterError: no such checkpoint, no permission, no GPU, damaged files, or an incompatible scheduler.
    """
    import diffusers
    import torch

    identity = checkpoint_identity(settings).label
    device = device_of(settings)
    if settings.device == "auto" and device == "cpu":
        _LOG.warning(
            "torch %s finds no GPU (painter.device is auto): %s paints on the processor, minutes a picture for a model "
            "of SDXL's size",
            torch.__version__,
            identity,
        )
    try:
        with quiet("diffusers", "transformers"):
            pipeline = diffusers.AutoPipelineForText2Image.from_pretrained(
                from_pretrained_name(settings.model),
                revision=settings.revision,
                variant=settings.variant,
                dtype=dtype_of(settings, device),
                low_cpu_mem_usage=diffusers.utils.is_accelerate_available(),
            )
        prepare(pipeline, settings, device, identity)
    except PainterError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise PainterError(
                f"painter.model: {identity} does not fit into memory; set painter.offload or a dtype"
            ) from error
        raise PainterError(_explained(identity, settings, error)) from error
    return pipeline


def prepare(pipeline: Any, settings: DiffusionPainterSettings, device: str, identity: str) -> None:
    """Move a pipeline to its device and configure it as in the profile.

    Raises:
        PainterError: the scheduler is incompatible with the checkpoint.
    """
    pipeline.set_progress_bar_config(disable=True)
    set_scheduler(pipeline, settings, identity)
    if hasattr(getattr(pipeline, "vae", None), "enable_slicing"):
        pipeline.vae.enable_slicing()  # Decoding a batch at once takes more memory than all the rest.
    if settings.offload:
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to(device)
    if settings.compile:
        _compile(denoiser_of(pipeline))


def _compile(denoiser: Any) -> None:
    """Compile the denoiser's repeated block once, or else the whole denoiser."""
    if getattr(denoiser, "_repeated_blocks", None):
        denoiser.compile_repeated_blocks()
    else:
        denoiser.compile()


def device_of(settings: DiffusionPainterSettings) -> str:
    """The device to use.

    Raises:
        PainterError: the profile asks for a device that is not available.
    """
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if settings.device == "auto":
        found = next(name for name, exists in available.items() if exists)
    elif not available[settings.device]:
        raise PainterError(
            f"painter.device is {settings.device}, and torch {torch.__version__} finds none here; install a build of "
            "torch for this GPU and its driver, or set painter.device to cpu"
        )
    else:
        found = settings.device
    if settings.offload and found != "cuda":
        raise PainterError(f"painter.offload needs a GPU, and pictures are painted on {found}; set it to false")
    return found


def dtype_of(settings: DiffusionPainterSettings, device: str) -> Any:
    """The torch dtype of the weights."""
    import torch

    return automatic_dtype(device) if settings.dtype == "auto" else getattr(torch, settings.dtype)


def denoiser_of(pipeline: Any) -> Any:
    """The module that runs at every step."""
    return pipeline.unet if hasattr(pipeline, "unet") else pipeline.transformer


def set_scheduler(pipeline: Any, settings: DiffusionPainterSettings, identity: str) -> None:
    """Set the profile's scheduler, if it names one.

    Raises:
        PainterError: it is incompatible with the checkpoint.
    """
    if settings.scheduler is None:
        return
    import diffusers

    name, options = _SCHEDULERS[settings.scheduler]
    fitting = {scheduler.__name__ for scheduler in pipeline.scheduler.compatibles}
    if name not in fitting:
        own = type(pipeline.scheduler).__name__
        raise PainterError(
            f"painter.scheduler: {settings.scheduler} does not fit {identity}, which has a {own}; leave it unset"
        )
    pipeline.scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config, **options)


def _explained(identity: str, settings: DiffusionPainterSettings, error: Exception) -> str:
    on_hub = not is_folder(settings.model)
    if fault := hub_fault("painter", settings.model, settings.revision, error, on_hub=on_hub):
        return fault
    description = summary_of(error)
    if remedy := _variant_remedy(settings, error):
        return f"painter.model: {identity} cannot be loaded ({description}); {remedy}"
    if found := next(
        (cause for cause in causes_of(error) if isinstance(cause, OSError) and cause.errno == errno.EACCES), None
    ):
        return f"painter.model: {identity} may not be read ({system_message(found)}); see to its permissions"
    if json.JSONDecodeError in exception_types(error):
        return (
            f"painter.model: a configuration file of {identity} is not JSON ({description}); fetch the checkpoint again"
        )
    return (
        f"painter.model: {identity} cannot be loaded ({type(error).__name__}: {description}); fetch the checkpoint "
        "again"
    )


def _variant_remedy(settings: DiffusionPainterSettings, error: Exception) -> str | None:
    """The remedy if the missing files exist under the name of another variant or of none; None otherwise."""
    folder = Path(settings.model).expanduser()
    if not is_folder(settings.model):
        missing = settings.variant is not None and ("variant" in str(error) or "no file named" in str(error))
        return (
            f"leave painter.variant out, or look which ones the hub has: {settings.variant!r} is not among them"
            if missing
            else None
        )
    available = {variant for part in _weights_by_part(folder) for variant in part}
    # A variant is usable if every part with weights has it.
    whole = {variant for variant in available if all(variant in part for part in _weights_by_part(folder))}
    if settings.variant in whole or not available:
        return None
    if None in whole:
        return f"the folder has no variant {settings.variant!r}; leave painter.variant out"
    named = sorted(variant for variant in whole if variant is not None)
    if named:
        return f"its weights are of the variant {' and '.join(named)} alone; set painter.variant: {named[0]}"
    return None


def _weights_by_part(folder: Path) -> list[set[str | None]]:
    """The variants of the weights of each part of a checkpoint; None is the default variant."""
    parts: dict[Path, set[str | None]] = {}
    for path in files_below(folder):
        if (found := _WEIGHTS.fullmatch(path.name)) is not None:
            parts.setdefault(path.parent, set()).add(found["variant"])
    return list(parts.values())
