"""The embedded model's tokenizer: words of the catalog are single tokens, and any other text is encoded as bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from stablellava_assets.abilities.ability import QUESTION_KINDS
from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.abilities.multi_image import ASPECT_WORDS, ORDINALS
from stablellava_assets.abilities.placements import NUMBERS, POSITIONS

if TYPE_CHECKING:
    from tokenizers import pre_tokenizers
    from transformers import PreTrainedTokenizerFast

IMAGE_TOKEN = "<image>"
END_TOKEN = "</s>"
PAD_TOKEN = "<pad>"

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}"
    "{{- 'USER: ' -}}"
    "{%- for part in message['content'] -%}"
    "{{- '<image>\n' if part['type'] == 'image' else part['text'] -}}"
    "{%- endfor -%}"
    "{%- else -%}"
    "{{- ' ASSISTANT:' -}}"
    "{%- for part in message['content'] -%}{{- ' ' + part['text'] + '</s>' -}}{%- endfor -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- ' ASSISTANT:' -}}{%- endif -%}"
)
"""LLaVA-1.5's conversation: ``USER: <image>\\nquestion ASSISTANT: answer</s>``; images keep their places."""


def build_tokenizer(texts: Iterable[str], context: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer without merges whose vocabulary has a token for every word of ``texts``.

    Words in the vocabulary are matched whole (``ignore_merges``, as in Llama 3). Other words become one token per UTF-8
    byte, so there are no unknown tokens. Nothing is trained: the same texts give the same ids.
    """
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: index for index, token in enumerate(vocabulary_of(texts))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = _splitter()
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD_TOKEN,
        eos_token=END_TOKEN,
        extra_special_tokens={"image_token": IMAGE_TOKEN},
        padding_side="left",
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def vocabulary_of(texts: Iterable[str]) -> list[str]:
    """The tokens of such a tokenizer, in the order of their ids."""
    split = _splitter()
    words = {word for text in texts for word, _ in split.pre_tokenize_str(text)}
    alphabet = sorted(split.alphabet())
    return [PAD_TOKEN, END_TOKEN, IMAGE_TOKEN, *alphabet, *sorted(words - set(alphabet))]


def _splitter() -> pre_tokenizers.ByteLevel:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def catalog_texts(catalog: Catalog) -> Iterator[str]:
    """The names and training templates of the catalog, in the forms at the start and in the middle of a sentence."""
    yield "USER: \n ASSISTANT: Yes, No."
    for ability in catalog.single.values():
        for subject in ability.drawn_subjects:
            for text in (subject.with_article(), subject.name, *subject.accepted, *subject.details.values()):
                yield f"{text[0].upper()}{text[1:]}"
                yield f" {text}"
        for kind in QUESTION_KINDS:
            for templates in getattr(ability.questions, kind).model_dump().values():
                yield from (_SLOT.sub("", template) for template in templates)
    for several in catalog.multi_image.values():
        yield from (_SLOT.sub("", template) for template in several.training_texts())
        for style in several.prompts.styles:
            yield f" {style}"
    if catalog.multi_image:
        words = (*ORDINALS, *POSITIONS, *NUMBERS, *ASPECT_WORDS.values())
        yield from (f" {word} {word.capitalize()}" for word in words)


_SLOT = re.compile(r"\{\w+\}")
