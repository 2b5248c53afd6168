"""Stable Diffusion 3 and FLUX of random weights, which read prompts with T5."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from stablellava_assets_tests.fakes.tiny_sdxl import SIZE, text_config, tokenizer, vae


def t5_tokenizer() -> Any:
    """A T5 tokenizer that knows letters only."""
    from transformers import T5Tokenizer

    letters = ["▁", *string.ascii_letters, *string.digits, *",.;:()-'"]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -2.0) for letter in letters)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)


def t5_encoder(tokens: Any, width: int = 32) -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=len(tokens), d_model=width, d_kv=8, d_ff=37, num_layers=1, num_heads=4)
    return T5EncoderModel(config).eval()


def flow_vae() -> Any:
    return vae(use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.0609, scaling_factor=1.5035)


def save_flux(folder: Path) -> Path:
    """Save a FLUX that is told how much it is to be guided."""
    assemble_flux().save_pretrained(folder)
    return folder


def save_schnell(folder: Path) -> Path:
    """Save one that is not."""
    assemble_flux(distilled=False).save_pretrained(folder)
    return folder


def assemble_flux(distilled: bool = True) -> Any:
    """The pipeline of a FLUX: of FLUX.1-dev, which is told how much it is to be guided, or of FLUX.1-schnell."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextModel

    torch.manual_seed(0)
    clip, t5 = tokenizer(), t5_tokenizer()
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=flow_vae(),
        text_encoder=CLIPTextModel(text_config(clip)),
        tokenizer=clip,
        text_encoder_2=t5_encoder(t5),
        tokenizer_2=t5,
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=distilled,
        ),
    )


def save_sd3(folder: Path) -> Path:
    """Save a Stable Diffusion 3."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
    from transformers import CLIPTextModelWithProjection

    torch.manual_seed(0)
    clip, t5 = tokenizer(), t5_tokenizer()
    StableDiffusion3Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=flow_vae(),
        text_encoder=CLIPTextModelWithProjection(text_config(clip)),
        tokenizer=clip,
        text_encoder_2=CLIPTextModelWithProjection(text_config(clip)),
        tokenizer_2=tokenizer(),
        text_encoder_3=t5_encoder(t5, 64),  # Embeddings of both CLIPs stand beside T5's, in its width.
        tokenizer_3=t5,
        transformer=SD3Transformer2DModel(
            sample_size=SIZE // 2,
            patch_size=1,
            in_channels=4,
            out_channels=4,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=4,
            joint_attention_dim=64,
            caption_projection_dim=64,
            pooled_projection_dim=64,
        ),
    ).save_pretrained(folder)
    return folder
