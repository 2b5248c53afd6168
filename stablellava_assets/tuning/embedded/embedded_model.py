"""The embedded model: a small LLaVA with random weights, in an architecture of transformers.

Its vision tower is convolutional, as in FastVLM (Vasu et al., 2025). Trained from scratch, a convolutional network
learns to tell the subjects apart from a third of the images that a vision transformer needs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stablellava_assets.tuning.embedded.tokenizer import CHAT_TEMPLATE
from stablellava_assets.tuning.settings import EmbeddedModelSettings

if TYPE_CHECKING:
    from transformers import FastVlmForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast


def build_processor(settings: EmbeddedModelSettings, tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """CLIP's image preprocessing at the model's size and the tokenizer, with LLaVA-1.5's chat template."""
    from transformers import LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    side = settings.image_size
    pictures = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    return LlavaProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        # LLaVA's processor derives the number of image tokens from the patch size.
        patch_size=settings.image_size // math.isqrt(settings.vision_tokens),
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        chat_template=CHAT_TEMPLATE,
    )


def build_model(
    settings: EmbeddedModelSettings, tokenizer: PreTrainedTokenizerFast, seed: int
) -> FastVlmForConditionalGeneration:
    """ConvNeXt vision tower, two-layer projector and Llama, initialized with ``seed``."""
    import torch
    from transformers import ConvNextConfig, FastVlmConfig, FastVlmForConditionalGeneration, LlamaConfig

    vision = ConvNextConfig(
        image_size=settings.image_size,
        patch_size=settings.patch_size,
        num_stages=len(settings.vision_widths),
        hidden_sizes=list(settings.vision_widths),
        depths=list(settings.vision_depths),
        # Disabled: so few layers need no scale that starts near zero.
        layer_scale_init_value=0.0,
        hidden_size=settings.vision_widths[-1],
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.text_width,
        intermediate_size=3 * settings.text_width,
        num_hidden_layers=settings.text_layers,
        num_attention_heads=settings.text_width // settings.head_width,
        max_position_embeddings=settings.context,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    config = FastVlmConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=settings.vision_tokens,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FastVlmForConditionalGeneration(config)
