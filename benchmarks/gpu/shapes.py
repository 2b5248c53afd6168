"""Models of random weights with the public configurations of checkpoints that people use, and
tiny ones of the same classes.

Speed and memory do not depend on weights. Each part of a full-size model is listed with the number of
weights that its checkpoint has, which ``stablellava_assets_tests/test_gpu_benchmark.py`` compares with what
is built, on torch's meta device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from stablellava_assets_tests.fakes.tiny_sdxl import assemble_sdxl, scheduler, tokenizer
from stablellava_assets_tests.fakes.tiny_t5 import assemble_flux, t5_tokenizer


class Part(NamedTuple):
    """One network of a model: how it is built, and how many weights its checkpoint has."""

    build: Callable[[], Any]
    weights: int


@contextmanager
def built_on(device: str, dtype: torch.dtype) -> Iterator[None]:
    """Modules made inside get their random weights where and as they are needed: nothing is copied or converted."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def _clip_text(kind: str, **shape: Any) -> Any:
    import transformers

    tokens = tokenizer()
    config = transformers.CLIPTextConfig(
        vocab_size=49_408,
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
        pad_token_id=tokens.pad_token_id,
        **shape,
    )
    return getattr(transformers, kind)(config).eval()


def _clip_l() -> Any:
    return _clip_text(
        "CLIPTextModel", hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    )


def _clip_big_g() -> Any:
    return _clip_text(
        "CLIPTextModelWithProjection",
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=20,
        projection_dim=1280,
        hidden_act="gelu",
    )


def _sdxl_unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=128,
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(5, 10, 20),
        transformer_layers_per_block=(1, 2, 10),
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    ).eval()


def _vae(**own: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        sample_size=1024,
        force_upcast=False,
        **own,
    ).eval()


def _sdxl_vae() -> Any:
    return _vae(latent_channels=4, scaling_factor=0.13025)


def _flux_vae() -> Any:
    return _vae(
        latent_channels=16,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def _flux_transformer() -> Any:
    from diffusers import FluxTransformer2DModel

    return FluxTransformer2DModel(guidance_embeds=True).eval()  # The class' own defaults are FLUX.1's for the rest.


def _t5_xxl() -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=32_128,
        d_model=4096,
        d_kv=64,
        d_ff=10_240,
        num_layers=24,
        num_heads=64,
        feed_forward_proj="gated-gelu",
    )
    return T5EncoderModel(config).eval()


def _llava_1_5() -> Any:
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    from stablellava_assets_tests.fakes.tuning_checkpoints import llama_tokenizer

    tokens = llama_tokenizer()
    return LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=CLIPVisionConfig(
                hidden_size=1024,
                intermediate_size=4096,
                num_hidden_layers=24,
                num_attention_heads=16,
                image_size=336,
                patch_size=14,
                projection_dim=768,
            ),
            text_config=LlamaConfig(
                hidden_size=4096,
                intermediate_size=11_008,
                num_hidden_layers=32,
                num_attention_heads=32,
                vocab_size=32_064,
                max_position_embeddings=4096,
                pad_token_id=tokens.pad_token_id,
                bos_token_id=tokens.bos_token_id,
                eos_token_id=tokens.eos_token_id,
            ),
            image_token_index=tokens.convert_tokens_to_ids("<image>"),
            vision_feature_layer=-2,
            image_seq_length=576,
        )
    )


_QWEN_TEXT = {
    "hidden_size": 3584,
    "intermediate_size": 18_944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152_064,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
}
_QWEN_VISION = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "out_hidden_size": 3584,
}
_TINY_QWEN_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 512,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]},
}
_TINY_QWEN_VISION = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32}


def qwen2_5_vl(tiny: bool = False) -> Any:
    """Qwen2.5-VL-7B, or a tiny one; the mark of a picture is the last but one word of its vocabulary."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text, vision = (_TINY_QWEN_TEXT, _TINY_QWEN_VISION) if tiny else (_QWEN_TEXT, _QWEN_VISION)
    words = int(str(text["vocab_size"]))
    marks = {
        "image_token_id": words - 2,
        "video_token_id": words - 3,
        "vision_start_token_id": words - 4,
        "vision_end_token_id": words - 5,
    }
    text = {**text, "bos_token_id": 0, "eos_token_id": 1}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, **marks))


FULL_SIZE: dict[str, dict[str, Part]] = {
    "SDXL base 1.0": {
        "unet": Part(_sdxl_unet, 2_567_463_684),
        "text_encoder": Part(_clip_l, 123_060_480),
        "text_encoder_2": Part(_clip_big_g, 694_659_840),
        "vae": Part(_sdxl_vae, 83_653_863),
    },
    "LLaVA-1.5-7B": {"model": Part(_llava_1_5, 7_063_427_072)},
    "FLUX.1-dev": {
        "transformer": Part(_flux_transformer, 11_901_408_320),
        "text_encoder": Part(_clip_l, 123_060_480),
        "text_encoder_2": Part(_t5_xxl, 4_762_310_656),
        "vae": Part(_flux_vae, 83_819_683),
    },
    "Qwen2.5-VL-7B": {"model": Part(qwen2_5_vl, 8_292_166_656)},
}
"""Of stabilityai/stable-diffusion-xl-base-1.0, llava-hf/llava-1.5-7b-hf, black-forest-labs/FLUX.1-dev and
Qwen/Qwen2.5-VL-7B-Instruct: the bytes of their safetensors files by those of a weight."""


def _networks(model: str, device: str, dtype: torch.dtype) -> dict[str, Any]:
    with built_on(device, dtype):
        return {name: part.build() for name, part in FULL_SIZE[model].items()}


def sdxl(tiny: bool, device: str, dtype: torch.dtype) -> Any:
    """A Stable Diffusion XL pipeline on ``device``; its tokenizer makes a token of each character."""
    if tiny:
        return assemble_sdxl()
    from diffusers import StableDiffusionXLPipeline

    networks = _networks("SDXL base 1.0", device, dtype)
    return StableDiffusionXLPipeline(
        **networks, scheduler=scheduler(), tokenizer=tokenizer(), tokenizer_2=tokenizer(), add_watermarker=False
    )


def flux(tiny: bool, device: str, dtype: torch.dtype) -> Any:
    """A FLUX pipeline on ``device``; its tokenizers make a token of each character."""
    if tiny:
        return assemble_flux()
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline

    networks = _networks("FLUX.1-dev", device, dtype)
    return FluxPipeline(
        **networks,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        tokenizer=tokenizer(),
        tokenizer_2=t5_tokenizer(),
    )


def llava_1_5(device: str, dtype: torch.dtype) -> Any:
    """LLaVA-1.5-7B on ``device``."""
    return _networks("LLaVA-1.5-7B", device, dtype)["model"]
