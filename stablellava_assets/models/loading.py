"""Loads the models named in a profile through transformers."""

from __future__ import annotations

from typing import Any

from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.models.hub import from_pretrained_name, hub_fault, is_folder


class PretrainedModelError(ExplainedError, RuntimeError):
    """A model cannot be used; the message names the setting and the remedy."""


def load_pretrained(setting: str, name: str, kind: Any, **options: Any) -> Any:
    """Load a folder, or a model of the Hugging Face hub, with the Auto class ``kind``.

    Args:
        setting: the setting that names the model: a section and ``.model``.
        name: the folder, or the model on the hub.
        kind: an Auto class of transformers.
        options: passed on to it.

    Raises:
        PretrainedModelError: it cannot be loaded; ``setting`` is named.
    """
    # Missing, gated, damaged or of another type: transformers raises many different exceptions.
    try:
        return kind.from_pretrained(from_pretrained_name(name), **options)
    except Exception as error:
        if fault := hub_fault(setting.removesuffix(".model"), name, None, error, on_hub=not is_folder(name)):
            raise PretrainedModelError(fault) from error
        raise PretrainedModelError(
            f"{setting}: {name!r} could not be loaded as {kind.__name__}: {error}. Name a folder that "
            "`save_pretrained` wrote, or a model of the Hugging Face hub that this machine can reach."
        ) from error
