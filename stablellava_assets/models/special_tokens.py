"""Special tokens of a tokenizer, which represent no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, ProcessorMixin


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Named ones (such as the end token) and unnamed ones (such as Gemma's end of turn)."""
    unnamed = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return {token for token in {*tokenizer.all_special_tokens, *unnamed} if token}


def adds_special_tokens(processor: ProcessorMixin, text: str) -> bool:
    """Whether the tokenizer should prepend its first token to ``text``: not if the chat template has written it."""
    first = processor.tokenizer.bos_token
    return first is None or not text.startswith(first)
