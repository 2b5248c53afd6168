"""Find and load a checkpoint; all problems with it are reported before the first row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablellava_assets.models.hub import exception_types, hub_fault, is_folder, summary_of
from stablellava_assets.models.memory import is_out_of_memory
from stablellava_assets.models.precision import automatic_dtype
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tuning.pretrained.encoding import with_system
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, ProcessorMixin

_LOADED = (
    *("*.safetensors", "*.bin", "*.index.json", "config.json", "generation_config.json"),
    *("*token*", "vocab*", "merges.txt", "*.model", "*processor*", "chat_template*"),
)
"""Weights, configuration, tokenizer, preprocessing and chat template; not the model card, which changes later."""


def checkpoint_name(settings: PretrainedTuningSettings) -> str:
    """The name of the checkpoint in rows: an absolute folder, or ``name@revision`` on the hub.

    Raises:
        PretrainedTuningError: the folder does not exist, or holds no checkpoint.
    """
    name = settings.model.model
    if not is_folder(name):
        return f"{name}@{settings.model.revision}"
    folder = Path(name).expanduser().resolve()
    if not (folder / "config.json").is_file():
        problem = "holds no config.json" if folder.is_dir() else "is not there"
        raise PretrainedTuningError(
            f"tuning.model.model: the folder {folder} {problem}; name a folder that save_pretrained wrote, or a model "
            "on the Hugging Face hub"
        )
    return str(folder)


def checkpoint_key(settings: PretrainedTuningSettings) -> str:
    """Hash that identifies the checkpoint: name and revision on the hub, or the loaded files of a folder."""
    name = checkpoint_name(settings)
    folder = Path(name)
    if not folder.is_dir():
        return content_key("hub", name)
    files = sorted({path for pattern in _LOADED for path in folder.glob(pattern) if path.is_file()})
    return content_key("folder", [(path.name, path.stat().st_size, _head_and_tail_digest(path)) for path in files])


def _head_and_tail_digest(path: Path, count: int = 1 << 20) -> str:
    """Hash of a file's first and last MiB, in which two trainings of one model differ."""
    import hashlib

    with path.open("rb") as file:
        digest = hashlib.blake2b(file.read(count), digest_size=16)
        file.seek(max(0, path.stat().st_size - count))
        digest.update(file.read())
    return digest.hexdigest()


def device_of(settings: PretrainedTuningSettings) -> str:
    """The training device.

    Raises:
        PretrainedTuningError: the profile asks for a GPU that does not exist, or for more GPUs than there are.
    """
    import torch

    machine = settings.machine
    if machine.device == "cpu" or (machine.device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise PretrainedTuningError(
            f"tuning.machine.device is cuda, and torch {torch.__version__} finds none here; install a build of torch "
            "for this GPU and its driver, or set tuning.machine.device to cpu"
        )
    if machine.processes > torch.cuda.device_count():
        raise PretrainedTuningError(
            f"tuning.machine.processes is {machine.processes}, and this machine has {torch.cuda.device_count()} GPUs"
        )
    return "cuda"


def dtype_of(settings: PretrainedTuningSettings, device: str) -> torch.dtype:
    """The precision of the computation."""
    import torch

    if settings.model.dtype != "auto":
        dtype: torch.dtype = getattr(torch, settings.model.dtype)
        return dtype
    return automatic_dtype(device)


def load_processor(settings: PretrainedTuningSettings) -> ProcessorMixin:
    """The checkpoint's processor, with the profile's system message in its chat template.

    Raises:
        PretrainedTuningError: it cannot be loaded, or has no chat template.
    """
    processor = _load("AutoProcessor", settings)
    if getattr(processor, "tokenizer", None) is None or not getattr(processor, "chat_template", None):
        raise PretrainedTuningError(
            f"tuning.model.model: {settings.model.model} has no chat template, so that it is not known how it is "
            "asked; name a checkpoint that was tuned on instructions"
        )
    with_system(processor, settings.model.system)
    return processor


def load_model(settings: PretrainedTuningSettings, device: str) -> PreTrainedModel:
    """The model: in the precision of the computation if adapters are trained, in float32 if its own weights are.

    Raises:
        PretrainedTuningError: it cannot be loaded.
    """
    import torch

    dtype = dtype_of(settings, device) if settings.model.method == "lora" else torch.float32
    options = {} if settings.machine.attention == "auto" else {"attn_implementation": settings.machine.attention}
    return _load("AutoModelForImageTextToText", settings, dtype=dtype, **options)


def load_outline(settings: PretrainedTuningSettings) -> PreTrainedModel:
    """The model on torch's meta device, from its configuration; no weight is read or downloaded.

    Raises:
        PretrainedTuningError: the configuration cannot be loaded.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    configuration = _load("AutoConfig", settings)
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(configuration)


def _load(kind: str, settings: PretrainedTuningSettings, **options: Any) -> Any:
    import transformers

    name = checkpoint_name(settings)
    hub = {} if Path(name).is_dir() else {"revision": settings.model.revision}
    try:
        return getattr(transformers, kind).from_pretrained(settings.model.model if hub else name, **hub, **options)
    except Exception as error:  # Missing, gated, damaged: transformers raises whatever the part at fault raises.
        if is_out_of_memory(error):
            raise
        raise PretrainedTuningError(_explained(settings, error)) from error


def _explained(settings: PretrainedTuningSettings, error: Exception) -> str:
    name = settings.model.model
    on_hub = not is_folder(name)
    if fault := hub_fault("tuning.model", name, settings.model.revision, error, on_hub=on_hub):
        return fault
    summary = summary_of(error)
    if ImportError in exception_types(error):
        # transformers may name one of its modules in the error, and the reason only in the cause.
        summary = summary_of(error.__cause__ or error)
        if "torchvision" in summary.lower() or "num2words" in summary:
            return (
                f"tuning.model.model: {name} needs torchvision in the build that torch has, SmolVLM num2words too; "
                f"docs/tuning.md tells how to install them (stablellava-assets[video]): {summary}"
            )
        return f"tuning.model.model: {name} needs a package that is not installed: {summary}"
    return (
        f"tuning.model.model: {name} cannot be loaded ({type(error).__name__}: {summary}); fetch the checkpoint again"
    )
