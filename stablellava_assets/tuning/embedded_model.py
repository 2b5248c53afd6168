"""The embedded model: LLaVA's architecture from transformers, small, with random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablellava_assets.tuning.settings import EmbeddedModelSettings
from stablellava_assets.tuning.tokenizer import CHAT_TEMPLATE

if TYPE_CHECKING:
    from transformers import LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast


def build_processor(settings: EmbeddedModelSettings, tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """CLIP's picture preprocessing at the model's size, and the tokenizer, under LLaVA-1.5's chat template."""
    from transformers import LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    side = settings.image_size
    pictures = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    return LlavaProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=settings.patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def build_model(
    settings: EmbeddedModelSettings, tokenizer: PreTrainedTokenizerFast, seed: int
) -> LlavaForConditionalGeneration:
    """CLIP vision tower, two-layer projector and Llama, with the weights that ``seed`` draws."""
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    vision = CLIPVisionConfig(
        image_size=settings.image_size,
        patch_size=settings.patch_size,
        hidden_size=settings.vision_width,
        intermediate_size=4 * settings.vision_width,
        num_hidden_layers=settings.vision_layers,
        num_attention_heads=settings.vision_width // settings.head_width,
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
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(settings.image_size // settings.patch_size) ** 2,
        vision_feature_select_strategy="default",
        vision_feature_layer=-1,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlavaForConditionalGeneration(config)
