"""Rows as the tensors a checkpoint is trained on, through its own processor and chat template, whatever its family.

The processor itself puts in the vision tokens and says where (``text_replacement_offsets``); the tokenizer says which
characters each token stands for. Labels follow from both, so that no family needs code of its own and nothing is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stablellava_assets.tuning.checkpoints import adds_special_tokens
from stablellava_assets.tuning.packing import IGNORED
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.rows import TuningRow, messages_of

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from transformers import ProcessorMixin


@dataclass(frozen=True)
class Rendered:
    """A conversation's text with a mark a picture, and the characters (start, end) that are learned."""

    text: str
    answers: list[tuple[int, int]]


def with_system(processor: ProcessorMixin, system: str | None) -> None:
    """Give the processor's chat template a system sentence for conversations that bring none."""
    if system is None:
        return
    import json

    message = json.dumps([{"role": "system", "content": [{"type": "text", "text": system}]}], ensure_ascii=False)
    first = f"{{% if messages[0]['role'] != 'system' %}}{{% set messages = {message} + messages %}}{{% endif %}}"
    processor.chat_template = first + processor.chat_template


def render(row: TuningRow, processor: ProcessorMixin) -> Rendered:
    """The conversation under the chat template. Learned are the answers, each with the token that ends its turn.

    Where the template puts no special token after an answer (LLaVA-1.5's has a blank there), the tokenizer's end token takes
    the place of that blank, as in LLaVA's own training: a model that never saw an end would not find one.

    Where it writes a finished turn otherwise than it asks for one (LLaVA-OneVision's puts a blank before the line break), the
    answer stands as it will be asked for.

    Raises:
        ValueError: the row is no conversation (see :func:`messages_of`), or the template changes an answer or what came
            before it.
    """
    messages = messages_of(row)
    special = [token for token in processor.tokenizer.all_special_tokens if token]
    text, written = "", ""
    answers = []
    for turn in range(1, len(messages), 2):
        asked = processor.apply_chat_template(messages[:turn], add_generation_prompt=True)
        answered = processor.apply_chat_template(messages[: turn + 1])
        answer = messages[turn]["content"][0]["text"]
        shared = asked if answered.startswith(asked) else processor.apply_chat_template(messages[:turn])
        begins = answered.find(answer, len(shared))
        if begins < 0 or not (answered.startswith(shared) and asked.startswith(shared) and asked.startswith(written)):
            raise ValueError(
                "the checkpoint's chat template does not write a conversation as its beginning and an answer, so that it is "
                "not known what is to be learned"
            )
        lead = answered[len(asked) : begins] if shared == asked else ""
        after = answered[begins + len(answer) :]
        closing = min((at + len(token) for token in special if (at := after.find(token)) >= 0), default=None)
        text += asked[len(written) :]
        start = len(text)
        text += lead + answer + (processor.tokenizer.eos_token if closing is None else after[:closing])
        answers.append((start, len(text)))
        text += "" if closing is None else after[closing:]
        written = answered
    return Rendered(text, answers)


class Encoder:
    """Encodes rows with a processor; ``max_length`` counts every token, those of the pictures included."""

    def __init__(self, processor: ProcessorMixin, max_length: int) -> None:
        self._processor = processor
        self._max_length = max_length
        self._added: dict[tuple[tuple[int, int], ...], int] = {}
        tokenizer = processor.tokenizer
        if tokenizer.eos_token is None:
            raise PretrainedTuningError("tuning.model.model: the checkpoint's tokenizer has no end token")
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        tokenizer.padding_side = "right"

    def length(self, row: TuningRow) -> int:
        """Tokens of a row. Pictures are opened, and decoded only the first time that pictures of their sizes come.

        Raises:
            ValueError: the row cannot be trained on; the message is the reason.
        """
        rendered = render(row, self._processor)
        written = len(self._tokenize(rendered.text))
        if not row.images:
            return written
        sizes = tuple(_size(path) for path in row.images)
        if sizes not in self._added:
            expanded = self._process([rendered.text], [[_picture(path) for path in row.images]])
            self._added[sizes] = len(expanded["input_ids"][0]) - written
        return written + self._added[sizes]

    def batch(self, rows: Sequence[TuningRow]) -> dict[str, torch.Tensor]:
        """Everything the model's forward pass takes, padded to the longest row, with labels.

        Raises:
            ValueError: a row is longer than it was found to be, or a picture cannot be decoded.
        """
        rendered = [render(row, self._processor) for row in rows]
        pictures = [[_picture(path) for path in row.images] for row in rows]
        inputs = self._process([each.text for each in rendered], pictures, return_tensors="pt", padding=True)
        offsets = inputs.pop("offset_mapping")
        replaced = inputs.pop("text_replacement_offsets", None) or [[] for _ in rows]
        labels = inputs["input_ids"].new_full(inputs["input_ids"].shape, IGNORED)
        for number, (row, each) in enumerate(zip(rows, rendered, strict=True)):
            if len(replaced[number]) != len(row.images):
                raise ValueError(
                    f"{type(self._processor).__name__} does not say where it put the {len(row.images)} pictures of row "
                    f"{row.row_id}; this family cannot be tuned with this version of transformers"
                )
            starts, ends = offsets[number].unbind(-1)
            for start, end in _moved(each.answers, replaced[number]):
                learned = (starts < end) & (ends > start)
                labels[number][learned] = inputs["input_ids"][number][learned]
            if (count := int(inputs["attention_mask"][number].sum())) > self._max_length:
                raise ValueError(
                    f"row {row.row_id} has {count} tokens, and tuning.model.max_length is {self._max_length}"
                )
        return {**inputs, "labels": labels}

    def _process(self, texts: list[str], pictures: list[list[Image.Image]], **options: Any) -> Any:
        return self._processor(
            text=texts,
            images=pictures if any(pictures) else None,
            add_special_tokens=adds_special_tokens(self._processor, texts[0]),
            return_offsets_mapping=True,
            return_text_replacement_offsets=True,
            **options,
        )

    def _tokenize(self, text: str) -> list[int]:
        special = adds_special_tokens(self._processor, text)
        ids: list[int] = self._processor.tokenizer(text, add_special_tokens=special)["input_ids"]
        return ids


def _moved(answers: Sequence[tuple[int, int]], replaced: Sequence[Any]) -> list[tuple[int, int]]:
    """Where the answers stand once every mark before them has become the tokens of a picture."""

    def moved(at: int) -> int:
        before = [each for each in replaced if each["span"][1] <= at]
        return at + (before[-1]["new_span"][1] - before[-1]["span"][1] if before else 0)

    return [(moved(start), moved(end)) for start, end in answers]


def _size(path: str) -> tuple[int, int]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return picture.size
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"picture {path} cannot be read: {error}") from error


def _picture(path: str) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"picture {path} cannot be decoded: {error}") from error
