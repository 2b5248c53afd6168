"""Rows as the tensors a checkpoint is trained on, through its own processor and chat template, whatever its family.

The processor itself puts in the vision tokens, and the text it then has its tokenizer read is looked at: what stood between
two marks of pictures is found there again, character by character. The tokenizer says which characters each token stands
for. Labels follow from both, so that no family needs code of its own, nothing is cut, and no label is guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stablellava_assets.models.special_tokens import adds_special_tokens, special_tokens
from stablellava_assets.tuning.conversations import IGNORED
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.foreign_rows import last_token
from stablellava_assets.tuning.pretrained.pictures import load_picture, picture_size
from stablellava_assets.tuning.pretrained.rows import TuningRow, messages_of
from stablellava_assets.tuning.pretrained.unusable import UnusableRowError

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from transformers import PreTrainedTokenizerBase, ProcessorMixin

_EDGE_TOKENS = 8
"""How many tokens a picture's place in the text may make more or less: those that its neighbours are joined to or cut from."""


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


def render(messages: Sequence[Mapping[str, Any]], processor: ProcessorMixin, special: Collection[str]) -> Rendered:
    """A conversation under the chat template. Learned are the answers, each with the token of ``special`` that ends its turn.

    Where the template puts nothing but blanks after an answer (LLaVA-1.5's has one there), the tokenizer's end token takes
    their place, as in LLaVA's own training: a model that never saw an end would not find one.

    Where it writes a finished turn otherwise than it asks for one (LLaVA-OneVision's puts a blank before the line break), the
    answer stands as it will be asked for.

    Raises:
        ValueError: the template changes an answer or what came before it, or ends a turn in words.
    """
    text, written = "", ""
    answers = []
    for turn in range(1, len(messages), 2):
        asked = processor.apply_chat_template(messages[:turn], add_generation_prompt=True)
        answered = processor.apply_chat_template(messages[: turn + 1])
        answer = messages[turn]["content"][0]["text"]
        shared = asked if answered.startswith(asked) else processor.apply_chat_template(messages[:turn])
        begins = answered.find(answer, len(shared))
        if begins < 0 or not (answered.startswith(shared) and asked.startswith(shared) and asked.startswith(written)):
            raise UnusableRowError(
                "the checkpoint's chat template does not write a conversation as its beginning and an answer, so that it is "
                "not known what is to be learned"
            )
        lead = answered[len(asked) : begins] if shared == asked else ""
        after = answered[begins + len(answer) :]
        closing = min((at + len(token) for token in special if (at := after.find(token)) >= 0), default=None)
        if closing is None and after.strip():
            raise UnusableRowError(
                "the checkpoint's chat template ends an answer with no special token", f"it writes {after!r}"
            )
        text += asked[len(written) :]
        start = len(text)
        text += lead + answer + (processor.tokenizer.eos_token if closing is None else after[:closing])
        answers.append((start, len(text)))
        text += "" if closing is None else after[closing:]
        written = answered
    return Rendered(text, answers)


class Encoder:
    """Encodes rows with a processor; ``max_length``, up to which lengths are to be exact, counts the pictures' tokens too."""

    def __init__(self, processor: ProcessorMixin, max_length: int) -> None:
        self._processor = processor
        self._max_length = max_length
        self._added: dict[tuple[tuple[int, int], ...], int] = {}
        tokenizer = processor.tokenizer
        if tokenizer.eos_token is None:
            raise PretrainedTuningError("tuning.model.model: the checkpoint's tokenizer has no end token")
        if not tokenizer.is_fast:
            raise PretrainedTuningError(
                "tuning.model.model: the checkpoint's tokenizer is not a fast one, which alone says what each token stands for"
            )
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        tokenizer.padding_side = "right"
        self._special = special_tokens(tokenizer)
        self._stand_ins = _stand_ins(processor)
        self._ends = _turn_ends(processor, self._special)

    def length(self, row: TuningRow) -> int:
        """Tokens of a row, exact where ``max_length`` is near, else to a few tokens a picture.

        Pictures are opened, and decoded only the first time that pictures of their sizes come, or near ``max_length``.

        Raises:
            ValueError: the row cannot be trained on; the message is the reason.
            PretrainedTuningError: no row with a picture can be.
        """
        rendered = self._render(row)
        if not row.images:
            return self._written(rendered.text)
        sizes = tuple(picture_size(path) for path in row.images)
        if sizes in self._added:
            length = self._written(rendered.text) + self._added[sizes]
            if abs(length - self._max_length) > _EDGE_TOKENS * len(sizes):
                return length
        exact = self._expanded(row, rendered)
        self._added.setdefault(sizes, exact - self._written(rendered.text))
        return exact

    def batch(self, rows: Sequence[TuningRow]) -> dict[str, torch.Tensor]:
        """Everything the model's forward pass takes, padded to the longest row, with labels.

        Raises:
            ValueError: a picture cannot be decoded, or an answer is not found in what the processor made of its row.
        """
        rendered = [self._render(row) for row in rows]
        pictures = [[load_picture(path) for path in row.images] for row in rows]
        inputs, texts = self._process([each.text for each in rendered], pictures, return_tensors="pt", padding=True)
        offsets = inputs.pop("offset_mapping")
        labels = inputs["input_ids"].new_full(inputs["input_ids"].shape, IGNORED)
        for number, (row, each, text) in enumerate(zip(rows, rendered, texts, strict=True)):
            starts, ends = offsets[number].unbind(-1)
            for start, end in self._moved(row, each, text):
                learned = (starts < end) & (ends > start)
                labels[number][learned] = inputs["input_ids"][number][learned]
        return {**inputs, "labels": labels}

    def _render(self, row: TuningRow) -> Rendered:
        messages = [self._without_end(message) for message in messages_of(row)]
        texts = [part["text"] for message in messages for part in message["content"] if part["type"] == "text"]
        for token in self._stand_ins:
            if any(token in text for text in texts):
                raise UnusableRowError("a turn holds a token that stands for a picture, a video or a sound", token)
        for token in sorted(self._special):
            if any(token in text for text in texts):
                raise UnusableRowError("a turn holds a special token of the checkpoint's tokenizer", token)
        for text in texts:
            if (foreign := last_token(text)) is not None:
                raise UnusableRowError("a turn ends with a control token of another tokenizer", foreign)
        return render(messages, self._processor, self._special)

    def _without_end(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message, less one token at the very end of an answer with which other programs exported the end of its turn."""
        if message["role"] != "assistant":
            return message
        *before, last = message["content"]
        text = last["text"].rstrip()
        for token in self._ends:
            if text.endswith(token):
                text = text.removesuffix(token).rstrip()
                if not text:
                    raise UnusableRowError("a turn is empty")
                return {**message, "content": [*before, {**last, "text": text}]}
        return message

    def _written(self, text: str) -> int:
        special = adds_special_tokens(self._processor, text)
        return len(self._processor.tokenizer(text, add_special_tokens=special)["input_ids"])

    def _expanded(self, row: TuningRow, rendered: Rendered) -> int:
        """Tokens of a row with its pictures, in whose text the answers are found."""
        pictures = [load_picture(path) for path in row.images]
        try:
            inputs, texts = self._process([rendered.text], [pictures])
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise UnusableRowError("the checkpoint's processor does not take the row", str(error)) from error
        self._moved(row, rendered, texts[0])
        return len(inputs["input_ids"][0])

    def _process(
        self, texts: list[str], pictures: list[list[Image.Image]], **options: Any
    ) -> tuple[dict[str, Any], list[str]]:
        """What the processor makes of rows, and the texts that it had its tokenizer read for them."""
        tokenizer = self._processor.tokenizer
        overheard = _Overheard(tokenizer)
        self._processor.tokenizer = overheard
        try:
            inputs = self._processor(
                text=list(texts),
                images=pictures if any(pictures) else None,
                add_special_tokens=adds_special_tokens(self._processor, texts[0]),
                return_offsets_mapping=True,
                **options,
            )
        finally:
            self._processor.tokenizer = tokenizer
        if "labels" in inputs:
            raise self._untunable("itself labels the only answer to a first question, and no further ones")
        if len(overheard.texts) != len(texts) or "offset_mapping" not in inputs:
            raise self._untunable(
                "does not tokenize a row's text as a whole, so that it is not known what is to be learned"
            )
        return dict(inputs), overheard.texts

    def _moved(self, row: TuningRow, rendered: Rendered, expanded: str) -> list[tuple[int, int]]:
        """Where the answers stand in the text that the processor made: what lies between two marks is in it unchanged."""
        mark = getattr(self._processor, "image_token", None) or ""
        if row.images and (not mark or rendered.text.count(mark) != len(row.images)):
            raise self._untunable(f"does not know pictures by the marks of the chat template, but by {mark or 'none'}")
        moved, written, at = [], 0, 0
        for piece in rendered.text.split(mark) if row.images else [rendered.text]:
            at = expanded.find(piece, at)
            if at < 0:
                raise UnusableRowError("the checkpoint's processor changes what is said", f"{row.row_id}: {piece!r}")
            inside = [answer for answer in rendered.answers if written <= answer[0] < written + len(piece)]
            moved += [(start - written + at, end - written + at) for start, end in inside]
            at += len(piece)
            written += len(piece) + len(mark)
        return moved

    def _untunable(self, why: str) -> PretrainedTuningError:
        return PretrainedTuningError(
            f"tuning.model.model: a checkpoint of this family cannot be tuned: {type(self._processor).__name__} {why}"
        )


class _Overheard:
    """A tokenizer that remembers the texts whose tokens it was asked to place."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self.texts: list[str] = []

    def __call__(self, text: Any, *rest: Any, **options: Any) -> Any:
        if options.get("return_offsets_mapping"):
            self.texts = [text] if isinstance(text, str) else list(text)
        return self._tokenizer(text, *rest, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def _turn_ends(processor: ProcessorMixin, special: set[str]) -> list[str]:
    """The tokens that end an answer: the tokenizer's end token, and the one that the chat template writes."""
    found = {processor.tokenizer.eos_token}
    probe = [{"role": role, "content": [{"type": "text", "text": "1"}]} for role in ("user", "assistant")]
    try:
        written = render(probe, processor, special)
    except ValueError:  # Said of every row, when it is rendered.
        return sorted(found)
    start, end = written.answers[0]
    closing = written.text[start:end].rpartition("1")[2].strip()
    return sorted(found | ({closing} & special))


def _stand_ins(processor: ProcessorMixin) -> list[str]:
    """Tokens that stand for pictures, videos and sounds, under which the model would look for them."""
    owners = (processor, processor.tokenizer)
    found = {getattr(owner, f"{kind}_token", None) for owner in owners for kind in ("image", "video", "audio")}
    return sorted(token for token in found if token)
