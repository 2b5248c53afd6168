"""Models that a profile names, loaded through transformers."""

from __future__ import annotations

from typing import Any


class PretrainedModelError(RuntimeError):
    """A model that cannot be used; the message names the setting and what to do."""


def load_pretrained(setting: str, name: str, kind: Any, **options: Any) -> Any:
    """What the Auto class ``kind`` makes of a folder, or of a model of the Hugging Face hub.

    Raises:
        PretrainedModelError: it cannot be loaded; ``setting`` is named.
    """
    # Missing, gated, damaged, of another kind: transformers raises whatever the part at fault raises.
    try:
        return kind.from_pretrained(name, **options)
    except Exception as error:
        raise PretrainedModelError(
            f"{setting}: {name!r} could not be loaded as {kind.__name__}: {error}. Name a folder that "
            "`save_pretrained` wrote, or a model of the Hugging Face hub that this machine can reach."
        ) from error
