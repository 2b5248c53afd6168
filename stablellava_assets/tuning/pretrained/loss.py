"""Cross-entropy over the labelled tokens; logits are computed only for those."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stablellava_assets.tuning.conversations import IGNORED

if TYPE_CHECKING:
    import torch


class LearnedTokensLoss:
    """Sum over labelled tokens, divided by their number in the whole optimizer step.

    By default, model classes with ``accepts_loss_kwargs = False``, such as Qwen2.5-VL's, average over each micro-batch,
    which gives tokens among short answers more weight.

    Most tokens of a row belong to its image and questions. For 16 rows of 700 tokens, the logits of a vocabulary of
    152,000 words take 3.4 GB in bfloat16, twice that in float32, and their gradients as much again. The hidden states
    of unlabelled tokens therefore bypass the output layer.

    Args:
        model: the model, before it is wrapped.
    """

    def __init__(self, model: Any) -> None:
        self._head = model.get_output_embeddings()

    @contextmanager
    def of(self, labels: torch.Tensor) -> Iterator[None]:
        """Context in which a forward pass computes logits only for the predecessors of the labelled
        tokens of ``labels`` (rows, tokens)."""
        learned = labels[:, 1:] != IGNORED

        def chosen(head: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
            """The hidden states (rows, tokens, width) before labelled tokens, concatenated (labelled, width)."""
            states, *rest = given
            return (states[:, :-1][learned], *rest) if states.shape[:2] == labels.shape else None

        hook = self._head.register_forward_pre_hook(chosen) if self._head is not None else None
        try:
            yield
        finally:
            if hook is not None:
                hook.remove()

    def __call__(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor) -> torch.Tensor:
        """The loss of a forward pass, with the signature that the Trainer of transformers expects."""
        from torch.nn.functional import cross_entropy

        following = labels[:, 1:]
        learned = following != IGNORED
        logits = outputs["logits"]
        if logits.ndim == 3:  # Of a model that reaches its output layer on another way.
            logits = logits[:, :-1][learned]
        return cross_entropy(logits.float(), following[learned], reduction="sum") / num_items_in_batch
