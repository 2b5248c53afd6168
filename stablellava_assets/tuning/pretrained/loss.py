"""Cross-entropy over the learned tokens, for which alone logits are computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stablellava_assets.tuning.conversations import IGNORED

if TYPE_CHECKING:
    import torch


class LearnedTokensLoss:
    """Sums over learned tokens, divided by their number in the whole optimizer step.

    Left to themselves, the classes that set ``accepts_loss_kwargs`` to false, such as Qwen2.5-VL's, average over each
    micro-batch, so that a token among short answers weighs more.

    Most tokens of a row stand for its picture and its questions. Logits of a vocabulary of 152,000 words for all of 16 rows
    of 700 tokens take 3.4 GB in bfloat16, twice that in float32, and their gradients as much again; so the states of other
    tokens do not reach the output layer.

    Args:
        model: that is trained, whatever wraps it later.
    """

    def __init__(self, model: Any) -> None:
        self._head = model.get_output_embeddings()

    @contextmanager
    def of(self, labels: torch.Tensor) -> Iterator[None]:
        """A forward pass inside computes logits for what precedes each of ``labels`` (rows, tokens) that is learned."""
        learned = labels[:, 1:] != IGNORED

        def chosen(head: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
            """The states (rows, tokens, width) before learned tokens, one after the other (learned, width)."""
            states, *rest = given
            return (states[:, :-1][learned], *rest) if states.shape[:2] == labels.shape else None

        hook = self._head.register_forward_pre_hook(chosen) if self._head is not None else None
        try:
            yield
        finally:
            if hook is not None:
                hook.remove()

    def __call__(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor) -> torch.Tensor:
        """The loss of a forward pass, as transformers' Trainer asks for it."""
        from torch.nn.functional import cross_entropy

        following = labels[:, 1:]
        learned = following != IGNORED
        logits = outputs["logits"]
        if logits.ndim == 3:  # Of a model that reaches its output layer on another way.
            logits = logits[:, :-1][learned]
        return cross_entropy(logits.float(), following[learned], reduction="sum") / num_items_in_batch
