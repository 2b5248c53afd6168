"""The parts of several families' models, built from small configurations without weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForImageTextToText, PreTrainedModel

from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.parts import Parts, check_parts, trainable
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings

_SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
_ROPE = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 1e4}
_TEXT = {**_SMALL, "vocab_size": 64, "num_key_value_heads": 1}
_FAMILIES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "Llava": ({}, {"model_type": "llama"}, ["model.multi_modal_projector"]),
    "Idefics3": ({}, {"model_type": "llama"}, ["model.connector"]),
    "Qwen2VL": ({"depth": 1, "embed_dim": 16, "num_heads": 2}, {"rope_parameters": _ROPE}, ["model.visual.merger"]),
    "Qwen3VL": (
        {"depth": 2, "num_heads": 2, "deepstack_visual_indexes": [0, 1]},
        {"rope_parameters": _ROPE},
        ["model.visual.merger", "model.visual.deepstack_merger_list.0", "model.visual.deepstack_merger_list.1"],
    ),
    "Blip2": ({}, {"model_type": "opt", "word_embed_proj_dim": 16, "ffn_dim": 32}, ["qformer", "language_projection"]),
    "Gemma4": ({"head_dim": 8, "global_head_dim": 8}, {"head_dim": 8, "global_head_dim": 8}, ["model.embed_vision"]),
    "Ovis2": ({}, {"model_type": "qwen2"}, ["model.visual_embeddings_table"]),
}


def outline(family: str) -> PreTrainedModel:
    vision, text, _ = _FAMILIES[family]
    more: dict[str, Any] = {"qformer_config": {**_SMALL, "encoder_hidden_size": 16}} if family == "Blip2" else {}
    kind = getattr(transformers, f"{family}Config")
    configuration = kind(vision_config={**_SMALL, **vision}, text_config={**_TEXT, **text}, **more)
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(configuration)


def settings_for(**model: Any) -> PretrainedTuningSettings:
    return PretrainedTuningSettings.model_validate(
        {"model": {"kind": "pretrained", "model": "of/no-account", "lora": {"rank": 2}, **model}}
    )


@pytest.mark.parametrize("family", _FAMILIES)
def test_every_family_has_a_projector_that_learns_beside_the_adapters(family: str) -> None:
    settings = settings_for()
    model = outline(family)
    check_parts(model, settings)
    parts = Parts(model)
    assert parts.projector == _FAMILIES[family][2]
    moving = [
        name
        for name, parameter in trainable(model, settings, settings.stage, aligning=False).named_parameters()
        if parameter.requires_grad
    ]
    assert {parts.of(name) for name in moving if "lora_" not in name} == {"projector"}
    assert {parts.of(name) for name in moving if "lora_" in name} == {"language"}


def test_what_cannot_be_told_apart_is_said() -> None:
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(transformers.Pix2StructConfig())
    with pytest.raises(PretrainedTuningError, match="reads in an encoder and answers in a decoder"):
        check_parts(model, settings_for())
