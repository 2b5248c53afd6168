"""Random-weight checkpoints of several families, saved as ordinary folders: a few thousand
weights behind the real classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

LLAVA_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}{# "
    "Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ "
    "'<image>\n' }}{% endfor %}{# Render all text next #}{% if message['role'] != 'assistant' %}{% for content in "
    "message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}{% else %}{% "
    "for content in message['content'] | selectattr('type', 'equalto', 'text') %}{% generation %}{{ content['text'] + "
    "' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% "
    "endif %}"
)
"""The chat template that llava-hf/llava-1.5-7b-hf carries."""
CHATML_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}{# Render all images first #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{# Render all text next #}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ '\n' + content['text'] }}{% endfor %}{{'<|im_end|>'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""The chat template of llava-hf's LLaVA-OneVision and Interleave checkpoints."""
IDEFICS3_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
"""The chat template of Idefics3 and SmolVLM."""
IDEFICS2_TEMPLATE = IDEFICS3_TEMPLATE.removeprefix("<|im_start|>")
"""The chat template of Idefics2."""
GEMMA3_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' "
    "else message['role']) + '\n' }}{% for item in message['content'] %}{% if item['type'] == 'image' %}{{ "
    "'<start_of_image>' }}{% elif item['type'] == 'text' %}{{ item['text'] | trim }}{% endif %}{% endfor %}{{ "
    "'<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
"""Google's documented format of Gemma's turns, with Gemma 3's mark of a picture."""
MLLAMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}{{ '<|image|>' }}{% else %}{{ content['text'] }}{% endif %}{% endfor %}"
    "{{ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
"""Meta's documented format of Llama 3's turns, with Llama 3.2's mark of a picture."""
PALIGEMMA_TEMPLATE = (
    "{% for message in messages %}{% for content in message['content'] %}{% if content['type'] == 'image' %}{{ "
    "'<image>' }}{% else %}{{ content['text'] }}{% endif %}{% endfor %}{{ eos_token if message['role'] == 'assistant' "
    "else '\n' }}{% endfor %}"
)
"""PaliGemma has none of its own: a prompt, a line break, an answer."""
_TEXTS = [
    (
        "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, "
        "detailed, and polite answers to the human's questions."
    ),
    "USER: What color is it? ASSISTANT: It is red. It is blue. It is green. It is yellow.",
    "system user assistant Is it? Yes, it is. No, it is not. What is in the pictures?",
]
_TEXT = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def llama_tokenizer() -> PreTrainedTokenizerFast:
    """SentencePiece as Llama has it: a dummy prefix at the start and after every special token, byte fallback, BOS."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([word for text in _TEXTS for word in text.split(" ")], trainer)
    made = Tokenizer.from_str(tokenizer.to_str())
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=_without_special_bytes(made), bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    fast.add_special_tokens({"additional_special_tokens": ["<image>"], "pad_token": "<pad>"})
    return fast


def _without_special_bytes(tokenizer: Tokenizer) -> Tokenizer:
    """The trainer made the byte tokens special, which in a Llama tokenizer they are not."""
    import json

    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(content))


def qwen_tokenizer(*image_tokens: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE with ChatML's marks, as Qwen2 has it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(_TEXTS, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    fast.add_special_tokens(
        {
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "additional_special_tokens": ["<|im_start|>", *image_tokens],
        }
    )
    return fast


def save_llava(folder: Path, side: int = 28) -> Path:
    """LLaVA-1.5: CLIP, a projector of two layers, Llama."""
    tiny_llava(side).save_pretrained(folder)
    llava_processor(side).save_pretrained(folder)
    return folder


def tiny_llava(side: int = 28) -> Any:
    """The model that :func:`save_llava` saves, for pictures of ``side`` pixels."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    tokenizer = llama_tokenizer()
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_TEXT, image_size=side, patch_size=14, projection_dim=16),
        text_config=LlamaConfig(
            **_TEXT,
            vocab_size=len(tokenizer),
            max_position_embeddings=512,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
        image_seq_length=(side // 14) ** 2,
    )
    return _with_seed(LlavaForConditionalGeneration, config)


def llava_processor(side: int = 28) -> Any:
    """Its processor, which fits LLaVA-1.5 of any width."""
    from transformers import LlavaProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side}),
        tokenizer=llama_tokenizer(),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )


def save_llava_next(folder: Path) -> Path:
    """LLaVA-NeXT: pictures in tiles, as many tokens as their shape needs; ChatML and Qwen2, as in its Qwen members."""
    from transformers import (
        CLIPVisionConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextProcessor,
        Qwen2Config,
    )
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    tokenizer = qwen_tokenizer("<image>")
    grid = [[28, 28], [28, 56], [56, 28]]
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**_TEXT, image_size=28, patch_size=14, projection_dim=16),
        text_config=Qwen2Config(
            **_TEXT,
            num_key_value_heads=1,
            vocab_size=len(tokenizer),
            max_position_embeddings=512,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=grid,
        vision_feature_layer=-2,
    )
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessorPil(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=grid
        ),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHATML_TEMPLATE,
    )
    return _save(LlavaNextForConditionalGeneration, config, processor, folder)


def save_idefics3(folder: Path) -> Path:
    """Idefics3: tiles with marks of their own around them, and a connector."""
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor, LlamaConfig
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    tokenizer = qwen_tokenizer("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>")
    config = Idefics3Config(
        vision_config={**_TEXT, "image_size": 28, "patch_size": 7},
        text_config=LlamaConfig(
            **_TEXT,
            vocab_size=len(tokenizer),
            max_position_embeddings=512,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    processor = Idefics3Processor(
        image_processor=Idefics3ImageProcessorPil(
            size={"longest_edge": 56}, max_image_size={"longest_edge": 28}, do_image_splitting=True
        ),
        tokenizer=tokenizer,
        image_seq_len=4,
        chat_template=IDEFICS3_TEMPLATE,
    )
    return _save(Idefics3ForConditionalGeneration, config, processor, folder)


def save_idefics2(folder: Path) -> Path:
    """Idefics2: its processor does not say where it put a picture, and puts blanks behind some."""
    from transformers import Idefics2Config, Idefics2ForConditionalGeneration, Idefics2Processor, MistralConfig
    from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil

    tokenizer = qwen_tokenizer("<image>", "<fake_token_around_image>", "<end_of_utterance>")
    config = Idefics2Config(
        vision_config={**_TEXT, "image_size": 56, "patch_size": 14},
        perceiver_config={
            "hidden_size": 16,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 8,
            "num_key_value_heads": 1,
        },
        text_config=MistralConfig(**_language(tokenizer), num_key_value_heads=1),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    processor = Idefics2Processor(
        Idefics2ImageProcessorPil(size={"shortest_edge": 28, "longest_edge": 56}),
        tokenizer,
        image_seq_len=4,
        chat_template=IDEFICS2_TEMPLATE,
    )
    return _save(Idefics2ForConditionalGeneration, config, processor, folder)


def save_gemma3(folder: Path) -> Path:
    """Gemma 3: the end of a turn is a special token without a name, and line breaks are put around pictures."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3Processor
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    pictures = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    made = llama_tokenizer()
    made.add_special_tokens({"additional_special_tokens": ["<start_of_turn>", "<end_of_turn>", *pictures.values()]})
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made.backend_tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        extra_special_tokens=pictures,
    )
    config = Gemma3Config(
        text_config={
            **_language(tokenizer),
            "num_key_value_heads": 1,
            "head_dim": 8,
            "sliding_window": 64,
            "layer_types": ["sliding_attention", "full_attention"],
        },
        vision_config={**_TEXT, "image_size": 28, "patch_size": 7},
        mm_tokens_per_image=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image_soft_token>"),
        boi_token_index=tokenizer.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=tokenizer.convert_tokens_to_ids("<end_of_image>"),
    )
    processor = Gemma3Processor(
        Gemma3ImageProcessorPil(size={"height": 28, "width": 28}),
        tokenizer,
        chat_template=GEMMA3_TEMPLATE,
        image_seq_length=4,
    )
    return _save(Gemma3ForConditionalGeneration, config, processor, folder)


def save_mllama(folder: Path) -> Path:
    """Llama 3.2 Vision: pictures are looked at across layers, and a mark stays one token."""
    from transformers import MllamaConfig, MllamaForConditionalGeneration, MllamaProcessor
    from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil

    tokenizer = llama_tokenizer()
    marks = ["<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|image|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    config = MllamaConfig(
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_global_layers": 1,
            "attention_heads": 2,
            "image_size": 28,
            "patch_size": 7,
            "max_num_tiles": 4,
            "vision_output_dim": 32,
            "intermediate_layers_indices": [0],
            "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1], [2, 2], [1, 3], [1, 4], [3, 1], [4, 1]],
        },
        # The mark of a picture is the last token, and has no row of its own in the output matrix.
        text_config={
            **_language(tokenizer),
            "vocab_size": len(tokenizer) - 1,
            "num_key_value_heads": 1,
            "cross_attention_layers": [1],
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<|image|>"),
    )
    processor = MllamaProcessor(
        MllamaImageProcessorPil(size={"height": 28, "width": 28}, max_image_tiles=4),
        tokenizer,
        chat_template=MLLAMA_TEMPLATE,
    )
    return _save(MllamaForConditionalGeneration, config, processor, folder)


def save_paligemma(folder: Path) -> Path:
    """PaliGemma, which learns one answer after a prompt that it reads in both directions; its processor alone."""
    from transformers import PaliGemmaProcessor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    image_processor = SiglipImageProcessorPil(size={"height": 28, "width": 28})
    image_processor.image_seq_length = 4
    PaliGemmaProcessor(image_processor, llama_tokenizer(), chat_template=PALIGEMMA_TEMPLATE).save_pretrained(folder)
    return folder


def _language(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        **_TEXT,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 512,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _save(kind: Any, config: Any, processor: Any, folder: Path) -> Path:
    _with_seed(kind, config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _with_seed(kind: Any, config: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(config)


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "llava": save_llava,
    "llava_next": save_llava_next,
    "idefics2": save_idefics2,
    "idefics3": save_idefics3,
    "gemma3": save_gemma3,
    "mllama": save_mllama,
}
