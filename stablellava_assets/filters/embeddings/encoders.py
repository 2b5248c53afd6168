"""Embedding models from transformers: texts and images become vectors of unit length."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stablellava_assets.filters.alignment.models import fingerprint_of_named
from stablellava_assets.filters.settings import EmbeddedImageSettings, SemanticTextSettings
from stablellava_assets.models.hub import from_pretrained_name
from stablellava_assets.models.loading import load_pretrained
from stablellava_assets.models.precision import automatic_device
from stablellava_assets.pictures.decoding import upright
from stablellava_assets.tables.identity import content_key


class TextEncoder:
    """A sentence-embedding model with the pooling of sentence-transformers: as configured in the
    model's folder, else the mean."""

    setting = "filters.duplicates.semantic_text.model"

    def __init__(self, settings: SemanticTextSettings) -> None:
        self._settings = settings

    @cached_property
    def key(self) -> str:
        """Hash of the model."""
        return _model_key(self.setting, self._settings.model)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (texts, width).

        Raises:
            PretrainedModelError: the model cannot be loaded.
        """
        tokenizer, model = self._loaded
        vectors = []
        for start in range(0, len(texts), self._settings.batch_size):
            tokens = tokenizer(
                list(texts[start : start + self._settings.batch_size]),
                padding=True,
                truncation=True,
                max_length=min(512, tokenizer.model_max_length),
                return_tensors="pt",
            ).to(model.device)
            vectors.append(_unit(self._pooled(_no_gradients(model, tokens), tokens["attention_mask"])))
        return np.concatenate(vectors)

    def _pooled(self, output: Any, mask: Any) -> Any:
        states = output.last_hidden_state
        if self._takes_first_token:
            return states[:, 0]
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoTokenizer

        model = _load_model(self.setting, self._settings.model)
        return load_pretrained(self.setting, self._settings.model, AutoTokenizer), model

    @cached_property
    def _takes_first_token(self) -> bool:
        from transformers.utils import cached_file

        path = cached_file(
            from_pretrained_name(self._settings.model),
            "1_Pooling/config.json",
            _raise_exceptions_for_missing_entries=False,
        )
        return path is not None and bool(json.loads(Path(path).read_text()).get("pooling_mode_cls_token"))


class ImageEncoder:
    """The vision tower of a model: image features of CLIP-like models, the pooled output of others."""

    setting = "filters.duplicates.embedded_images.model"

    def __init__(self, settings: EmbeddedImageSettings) -> None:
        self._settings = settings

    @cached_property
    def key(self) -> str:
        """Hash of the model."""
        return _model_key(self.setting, self._settings.model)

    def encode(self, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        """Unit vectors of encoded images, shape (images, width).

        Raises:
            PretrainedModelError: the model cannot be loaded.
            UndecodablePictureError: an image cannot be decoded.
        """
        processor, model = self._loaded
        vectors = []
        for start in range(0, len(pictures), self._settings.batch_size):
            batch = [upright(encoded) for encoded in pictures[start : start + self._settings.batch_size]]
            inputs = processor(images=batch, return_tensors="pt").to(model.device)
            vectors.append(_unit(_image_features(model, inputs)))
        return np.concatenate(vectors)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoImageProcessor

        model = _load_model(self.setting, self._settings.model)
        return load_pretrained(self.setting, self._settings.model, AutoImageProcessor), model


def _image_features(model: Any, inputs: Any) -> Any:
    if hasattr(model, "get_image_features"):
        features = _no_gradients(model.get_image_features, inputs)
        return getattr(features, "pooler_output", features)
    output = _no_gradients(model, inputs)
    pooled = getattr(output, "pooler_output", None)
    return output.last_hidden_state.mean(1) if pooled is None else pooled


def _no_gradients(call: Any, inputs: Any) -> Any:
    import torch

    with torch.inference_mode():
        return call(**inputs)


def _unit(vectors: Any) -> NDArray[np.float32]:
    import torch

    unit: NDArray[np.float32] = torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()
    return unit


def _load_model(setting: str, name: str) -> Any:
    from transformers import AutoModel

    return load_pretrained(setting, name, AutoModel).eval().to(automatic_device())


def _model_key(setting: str, name: str) -> str:
    if (of_folder := fingerprint_of_named(setting, name)) is not None:
        return of_folder
    from transformers import AutoConfig

    return content_key(name, load_pretrained(setting, name, AutoConfig)._commit_hash)
