"""The parts of a model (tower, projector and language model) in any family, and which of their weights are trained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.settings import PhaseSettings, PretrainedTuningSettings

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_PROJECTOR = re.compile(r"projector|connector|merger|aligner", re.IGNORECASE)
"""Names that most families of transformers use for the part between vision tower and language model."""


class Parts:
    """Prefixes of the parts in ``named_parameters``."""

    def __init__(self, model: PreTrainedModel) -> None:
        names = {id(module): name for name, module in model.named_modules()}
        decoder, tower = model.get_decoder(), model.get_encoder("image")
        if decoder is model or tower is model or id(decoder) not in names or id(tower) not in names:
            raise PretrainedTuningError(
                f"tuning.model.model: {type(model).__name__} has no separate vision tower and language model"
            )
        self.language, self.tower = names[id(decoder)], names[id(tower)]
        found = [name for name in names.values() if _PROJECTOR.search(name.rpartition(".")[2])]
        outermost = [name for name in found if not any(name.startswith(f"{other}.") for other in found)]
        if not outermost:
            ends = (model.get_input_embeddings(), model.get_output_embeddings(), model.get_encoder("audio"))
            others = {names[id(end)] for end in ends if id(end) in names and end is not model}
            outermost = list(_modules_without(model, "", {self.language, self.tower, *others}))
        self.projector = [member for name in outermost for member in _members(model, name)]

    def of(self, parameter: str) -> str:
        """``projector``, ``tower`` or ``language``; heads count as language."""
        if any(f"{name}." in parameter for name in self.projector):
            return "projector"
        return "tower" if f"{self.tower}." in parameter else "language"


def _modules_without(module: torch.nn.Module, name: str, others: set[str]) -> Iterator[str]:
    """The outermost modules below ``name`` that have weights and do not contain ``others``: the
    projectors of Gemma 4 and BLIP-2."""
    for last, child in module.named_children():
        path = f"{name}.{last}" if name else last
        if path not in others:
            if any(other.startswith(f"{path}.") for other in others):
                yield from _modules_without(child, path, others)
            elif next(child.parameters(), None) is not None:
                yield path


def _members(model: torch.nn.Module, name: str) -> list[str]:
    """A module, or the members of a list, because peft cannot copy a list as a whole (Qwen3-VL's mergers)."""
    import torch

    module = model.get_submodule(name)
    return [f"{name}.{at}" for at in range(len(module))] if isinstance(module, torch.nn.ModuleList) else [name]


def check_parts(model: PreTrainedModel, settings: PretrainedTuningSettings) -> None:
    """Check an outline before anything slow begins.

    Raises:
        PretrainedTuningError: the part to train cannot be identified.
    """
    kind = type(model).__name__
    if model.config.is_encoder_decoder:
        raise PretrainedTuningError(
            f"tuning.model.model: {kind} reads in an encoder and answers in a decoder; name a checkpoint whose "
            "language model does both"
        )
    parts = Parts(model)
    if not parts.projector and (settings.alignment is not None or settings.stage.projector_learning_rate > 0):
        raise PretrainedTuningError(
            f"no projector was found in {kind}: leave tuning.alignment out and set "
            "tuning.stage.projector_learning_rate to 0"
        )
    if settings.model.method == "lora":
        _targets(model, settings, parts)


def trainable(model: PreTrainedModel, settings: PretrainedTuningSettings, phase: PhaseSettings, aligning: bool) -> Any:
    """Freeze everything that is not trained and add adapters; ``aligning`` trains only the projector.

    Raises:
        PretrainedTuningError: the target modules match no linear layer of the model.
    """
    import torch

    parts = Parts(model)
    moves_projector = phase.projector_learning_rate > 0
    full, tower = settings.model.method == "full" and not aligning, settings.model.tower == "trained" and not aligning
    moves = {
        "projector": moves_projector,
        "tower": full and tower,
        "language": full,
    }
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(moves[parts.of(name)])
    if aligning or full:
        return _in_float32(model)
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings.model.lora.rank,
        lora_alpha=settings.model.lora.alpha,
        lora_dropout=settings.model.lora.dropout,
        target_modules=_targets(model, settings, parts),
        modules_to_save=parts.projector if moves_projector else None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return _in_float32(get_peft_model(model, config))


def _in_float32(model: Any) -> Any:
    """Trained weights are float32, because bfloat16 would lose small updates to rounding."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model


def _targets(model: PreTrainedModel, settings: PretrainedTuningSettings, parts: Parts) -> str:
    """A pattern for the full names of the linear layers that get adapters."""
    import torch

    named = settings.model.lora.target_modules
    adapted = [parts.language, *([parts.tower] if settings.model.tower == "trained" else [])]
    found = {
        (part, name.rpartition(".")[2])
        for part in adapted
        for name, module in model.named_modules()
        if name.startswith(f"{part}.") and isinstance(module, torch.nn.Linear) and parts.of(f"{name}.") != "projector"
        if named is None or name.rpartition(".")[2] in named
    }
    if not found:
        raise PretrainedTuningError(
            f"tuning.model.lora.target_modules: the language model has no linear layer called {named}"
        )
    patterns = []
    for part in adapted:
        last = "|".join(sorted(re.escape(name) for of, name in found if of == part))
        inside = "".join(
            rf"(?!{re.escape(name.removeprefix(f'{part}.'))}\.)"
            for name in parts.projector
            if name.startswith(f"{part}.")
        )
        if last:
            patterns.append(rf"{re.escape(part)}\.{inside}(?:.*\.)?(?:{last})")
    return "|".join(f"(?:{pattern})" for pattern in patterns)
