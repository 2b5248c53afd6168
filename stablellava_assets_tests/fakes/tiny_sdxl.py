"""A Stable Diffusion XL of random weights, a few hundred thousand of them, saved as a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIZE = 64


def tokenizer(max_length: int = 77) -> Any:
    """A CLIP tokenizer that was never trained: a token a character, so that prompts are soon longer than 77."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    names = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {name: number for number, name in enumerate(names)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=max_length)


def text_config(tokens: Any, **changes: Any) -> Any:
    from transformers import CLIPTextConfig

    settings = {
        "vocab_size": len(tokens),
        "hidden_size": 32,
        "intermediate_size": 37,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "projection_dim": 32,
        "max_position_embeddings": 77,
        "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
    }
    return CLIPTextConfig(**{**settings, **changes})


def vae(**changes: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=SIZE,
        **changes,
    )


def unet(**changes: Any) -> Any:
    from diffusers import UNet2DConditionModel

    settings: dict[str, Any] = {
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "sample_size": SIZE // 2,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": (2, 4),
        "use_linear_projection": True,
        "norm_num_groups": 8,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "transformer_layers_per_block": (1, 1),
        "projection_class_embeddings_input_dim": 6 * 8 + 32,
        "cross_attention_dim": 64,
    }
    return UNet2DConditionModel(**{**settings, **changes})


def scheduler() -> Any:
    from diffusers import EulerDiscreteScheduler

    return EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1
    )


def assemble_sdxl(seed: int = 0) -> Any:
    """The pipeline; another seed gives other weights of the same shape."""
    import torch
    from diffusers import StableDiffusionXLPipeline
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(seed)
    tokens = tokenizer()
    return StableDiffusionXLPipeline(
        vae=vae(),
        unet=unet(),
        scheduler=scheduler(),
        text_encoder=CLIPTextModel(text_config(tokens, hidden_act="quick_gelu")),
        text_encoder_2=CLIPTextModelWithProjection(text_config(tokens)),
        tokenizer=tokens,
        tokenizer_2=tokenizer(),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )


def save_sdxl(folder: Path, seed: int = 0) -> Path:
    """Save the pipeline as a checkpoint."""
    assemble_sdxl(seed).save_pretrained(folder)
    return folder


def save_sd(folder: Path, seed: int = 0) -> Path:
    """A Stable Diffusion with one text encoder and a safety checker that objects to every picture."""
    import torch
    from diffusers import StableDiffusionPipeline
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPTextModel

    torch.manual_seed(seed)
    tokens = tokenizer()
    one_encoder = {
        "addition_embed_type": None,
        "addition_time_embed_dim": None,
        "projection_class_embeddings_input_dim": None,
        "cross_attention_dim": 32,
    }
    vision = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1, "num_attention_heads": 4}
    checker = StableDiffusionSafetyChecker(
        CLIPConfig(vision_config={**vision, "image_size": 32, "patch_size": 16}, projection_dim=32)
    )
    torch.nn.init.constant_(checker.concept_embeds_weights, -2.0)  # The similarity that is too much; the least is -1.
    pipeline = StableDiffusionPipeline(
        vae=vae(),
        unet=unet(**one_encoder),
        scheduler=scheduler(),
        text_encoder=CLIPTextModel(text_config(tokens)),
        tokenizer=tokens,
        safety_checker=checker,
        feature_extractor=CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
    )
    pipeline.save_pretrained(folder)
    return folder
