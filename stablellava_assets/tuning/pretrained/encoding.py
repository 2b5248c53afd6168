"""Encodes rows as training tensors through the checkpoint's own processor and chat template, for any model family.

The processor inserts the vision tokens. Its tokenizer is wrapped to record the text that it is given: the text between
two image marks is found there again, character by character, and the tokenizer maps characters to tokens. Labels follow
from both, so no model family needs code of its own, nothing is truncated, and no label is guessed.
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
"""Tolerance in tokens per image: how many its neighbours may gain or lose when they are joined to it or split from
it."""


@dataclass(frozen=True)
class Rendered:
    """A conversation's text with one mark per image, and the character ranges (start, end) that are labelled."""

    text: str
    answers: list[tuple[int, int]]


def with_system(processor: ProcessorMixin, system: str | None) -> None:
    """Give the processor's chat template a system message for conversations without one."""
    if system is None:
        return
    import json

    message = json.dumps([{"role": "system", "content": [{"type": "text", "text": system}]}], ensure_ascii=False)
    first = f"{{% if messages[0]['role'] != 'system' %}}{{% set messages = {message} + messages %}}{{% endif %}}"
    processor.chat_template = first + processor.chat_template


def render(messages: Sequence[Mapping[str, Any]], processor: ProcessorMixin, special: Collection[str]) -> Rendered:
    """Render a conversation with the chat template. Answers are labelled, each with the
    ``special`` token that ends its turn.

    If the template puts only blanks after an answer (LLaVA-1.5's has a space), the tokenizer's end token replaces them,
    as in LLaVA's own training: a model that never saw an end token would not stop.

    If it renders a finished turn differently from a generation prompt (LLaVA-OneVision's puts a space before the line
    break), the answer is placed as in generation.

    Raises:
        ValueError: the template changes an answer or the text before it, or ends a turn with words.
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
                "the checkpoint's chat template does not write a conversation as its beginning and an answer, so that "
                "it is not known what is to be learned"
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
    """Encodes rows with a processor. Lengths up to ``max_length``, which includes image tokens, are exact."""

    def __init__(self, processor: ProcessorMixin, max_length: int) -> None:
        self._processor = processor
        self._max_length = max_length
        self._added: dict[tuple[tuple[int, int], ...], int] = {}
        tokenizer = processor.tokenizer
        if tokenizer.eos_token is None:
            raise PretrainedTuningError("tuning.model.model: the checkpoint's tokenizer has no end token")
        if not tokenizer.is_fast:
            raise PretrainedTuningError(
                "tuning.model.model: the checkpoint's tokenizer is not a fast one, which alone says what each token "
                "stands for"
            )
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        tokenizer.padding_side = "right"
        self._special = special_tokens(tokenizer)
        self._placeholders = _placeholders(processor)
        self._ends = _turn_ends(processor, self._special)

    def length(self, row: TuningRow) -> int:
        """Number of tokens of a row: exact near ``max_length``, else accurate to a few tokens per image.

        Images are opened, but decoded only for the first row with images of their sizes, or near ``max_length``.

        Raises:
            ValueError: the row cannot be trained on; the message is the reason.
            PretrainedTuningError: no row with an image can be trained on.
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
        """All inputs of the model's forward pass with labels, padded to the longest row.

        Raises:
            ValueError: an image cannot be decoded, or an answer is not found in the processor's text.
        """
        rendered = [self._render(row) for row in rows]
        pictures = [[load_picture(path) for path in row.images] for row in rows]
        inputs, texts = self._process([each.text for each in rendered], pictures, return_tensors="pt", padding=True)
        offsets = inputs.pop("offset_mapping")
        labels = inputs["input_ids"].new_full(inputs["input_ids"].shape, IGNORED)
        for number, (row, each, text) in enumerate(zip(rows, rendered, texts, strict=True)):
            starts, ends = offsets[number].unbind(-1)
            for start, end in self._relocated(row, each, text):
                learned = (starts < end) & (ends > start)
                labels[number][learned] = inputs["input_ids"][number][learned]
        return {**inputs, "labels": labels}

    def _render(self, row: TuningRow) -> Rendered:
        messages = [self._without_end(message) for message in messages_of(row)]
        texts = [part["text"] for message in messages for part in message["content"] if part["type"] == "text"]
        for token in self._placeholders:
            if any(token in text for text in texts):
                raise UnusableRowError("a turn holds a token that stands for a picture, a video or a sound", token)
        for token in sorted(self._special):
            if any(token in text for text in texts):
                raise UnusableRowError("a turn holds a special token of the checkpoint's tokenizer", token)
        for text in texts:
            if (foreign := last_token(text)) is not None:
                raise UnusableRowError("a turn ends with a control token of another tokenizer", foreign)
        return render(messages, self._processor, self._special)

    def _without_end(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """A message without the end-of-turn token that some programs export at the end of an answer."""
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
        """Tokens of a row with its images; the answers are located in their text."""
        pictures = [load_picture(path) for path in row.images]
        try:
            inputs, texts = self._process([rendered.text], [pictures])
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise UnusableRowError("the checkpoint's processor does not take the row", str(error)) from error
        self._relocated(row, rendered, texts[0])
        return len(inputs["input_ids"][0])

    def _process(
        self, texts: list[str], pictures: list[list[Image.Image]], **options: Any
    ) -> tuple[dict[str, Any], list[str]]:
        """The processor's output for rows, and the texts that it passed to its tokenizer."""
        tokenizer = self._processor.tokenizer
        recording = _RecordingTokenizer(tokenizer)
        self._processor.tokenizer = recording
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
        if len(recording.texts) != len(texts) or "offset_mapping" not in inputs:
            raise self._untunable(
                "does not tokenize a row's text as a whole, so that it is not known what is to be learned"
            )
        return dict(inputs), recording.texts

    def _relocated(self, row: TuningRow, rendered: Rendered, expanded: str) -> list[tuple[int, int]]:
        """The ranges of the answers in the processor's text, which leaves the text between two marks unchanged."""
        mark = getattr(self._processor, "image_token", None) or ""
        if row.images and (not mark or rendered.text.count(mark) != len(row.images)):
            raise self._untunable(f"does not know pictures by the marks of the chat template, but by {mark or 'none'}")
        relocated, written, at = [], 0, 0
        for piece in rendered.text.split(mark) if row.images else [rendered.text]:
            at = expanded.find(piece, at)
            if at < 0:
                raise UnusableRowError("the checkpoint's processor changes what is said", f"{row.row_id}: {piece!r}")
            inside = [answer for answer in rendered.answers if written <= answer[0] < written + len(piece)]
            relocated += [(start - written + at, end - written + at) for start, end in inside]
            at += len(piece)
            written += len(piece) + len(mark)
        return relocated

    def _untunable(self, why: str) -> PretrainedTuningError:
        return PretrainedTuningError(
            f"tuning.model.model: a checkpoint of this family cannot be tuned: {type(self._processor).__name__} {why}"
        )


class _RecordingTokenizer:
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


def _placeholders(processor: ProcessorMixin) -> list[str]:
    """Placeholder tokens for images, videos and audio, which the model would try to replace."""
    owners = (processor, processor.tokenizer)
    found = {getattr(owner, f"{kind}_token", None) for owner in owners for kind in ("image", "video", "audio")}
    return sorted(token for token in found if token)
