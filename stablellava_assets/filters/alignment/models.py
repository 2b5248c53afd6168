"""The models that score images: their names in the profile, and how they are loaded."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stablellava_assets.inputs.explained import system_message
from stablellava_assets.models.checkpoints import load_checkpoint
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.models.hub import folder_fingerprints
from stablellava_assets.models.loading import PretrainedModelError, load_pretrained
from stablellava_assets.models.precision import automatic_device
from stablellava_assets.tables.checkpoints import checkpoints
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.score_rows import CheckpointFolders
from stablellava_assets.tables.store import ParquetStore

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

PREVIOUS, PREVIOUS_BASE = "previous", "previous_base"
"""Names in the profile for the most recently tuned model, and for its base model."""


class OwnCheckpoint(NamedTuple):
    """A row of ``llava_checkpoint``: its id, and the names of the tuned model and of its base in ``models``."""

    checkpoint_id: str
    tuned: str
    base: str
    models: ModelFolders


def newest_checkpoint(store: ParquetStore, models: ModelFolders) -> OwnCheckpoint | None:
    """The most recently tuned checkpoint; None before the first.

    It is read from the store and is not an upstream of the stage, because checkpoints are made
    from the pairs it helps to select.
    """
    rows = checkpoints(store, CheckpointFolders)
    if not rows:
        return None
    newest = rows[-1]
    return OwnCheckpoint(newest["checkpoint_id"], newest["path"], newest["base_path"], models)


class ScorerModel:
    """A vision-language model, given by its name in the profile and loaded on first use."""

    def __init__(self, setting: str, name: str, checkpoint: OwnCheckpoint | None) -> None:
        """Args:
        setting: name of the setting, for error messages.
        name: a model name, a folder, ``previous`` or ``previous_base``.
        checkpoint: the checkpoint that ``previous`` refers to, if any.
        """
        self.is_own = name in (PREVIOUS, PREVIOUS_BASE)
        self.name = name
        self._setting = setting
        self._checkpoint = checkpoint

    @property
    def identity(self) -> str | None:
        """Identity of the model, part of the row key of its scores; None if there is no such checkpoint yet."""
        if not self.is_own:
            return self.name
        if self._checkpoint is None:
            return None
        tuned = self.name == PREVIOUS
        # The name of the base's folder contains a hash of everything it was made from.
        return f"llava_checkpoint {self._checkpoint.checkpoint_id}" if tuned else Path(self._checkpoint.base).name

    @cached_property
    def fingerprint(self) -> str | None:
        """Content hash of the model's folder; None for models of the hub and for the project's own.

        Raises:
            PretrainedModelError: a file of the folder cannot be read.
        """
        return None if self.is_own else fingerprint_of_named(self._setting, self.name)

    def load(self) -> tuple[PreTrainedModel, ProcessorMixin]:
        """The model and its processor, in evaluation mode.

        Raises:
            PretrainedModelError: the model cannot be loaded.
        """
        if not self.is_own:
            from transformers import AutoModelForImageTextToText

            return load_named(self._setting, self.name, AutoModelForImageTextToText)
        if self._checkpoint is None:
            raise PretrainedModelError(
                f"{self._setting}: {self.name}: no checkpoint has been tuned yet; name another "
                "model, or leave painter.best_of out until there is one"
            )
        named = self._checkpoint.tuned if self.name == PREVIOUS else self._checkpoint.base
        folder = self._checkpoint.models.path_of(named)
        try:
            model, processor = load_checkpoint(folder)
        except (OSError, ValueError) as error:
            raise PretrainedModelError(
                f"{self._setting}: {self.name} is of checkpoint {self._checkpoint.checkpoint_id}, whose folder "
                f"{folder} cannot be loaded ({error}). Materialize llava_checkpoint again, or leave filters.alignment "
                "out."
            ) from error
        return model.eval(), processor


def fingerprint_of_named(setting: str, name: str) -> str | None:
    """Content hash of the folder that a profile names; None for a model of the hub.

    Raises:
        PretrainedModelError: a file of the folder cannot be read.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return None
    try:
        return content_key(folder_fingerprints(folder))
    except OSError as error:
        raise PretrainedModelError(f"{setting}: {system_message(error)}; see to the permissions of {folder}") from error


def load_named(setting: str, name: str, kind: Any) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Load a model with an Auto class, and its processor, from a folder or the Hugging Face hub.

    The model is in the checkpoint's own precision on a GPU, and in float32 on a CPU, where other precisions are slow.

    Raises:
        PretrainedModelError: it cannot be loaded.
    """
    import torch
    from transformers import AutoProcessor

    device = automatic_device()
    model = load_pretrained(setting, name, kind, dtype="auto" if device == "cuda" else torch.float32)
    processor = load_pretrained(setting, name, AutoProcessor)
    return model.eval().to(device), processor
