"""The loss over learned tokens: that of all logits, though only theirs are computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from stablellava_assets.tuning.conversations import IGNORED
from stablellava_assets.tuning.pretrained.encoding import Encoder
from stablellava_assets.tuning.pretrained.loss import LearnedTokensLoss
from stablellava_assets.tuning.pretrained.rows import MIX, TuningRow
from stablellava_assets_tests.fakes.tuning_checkpoints import FAMILIES
from stablellava_assets_tests.tuning.tiny import picture, turns


@pytest.mark.parametrize("family", FAMILIES)
def test_only_learned_tokens_get_logits_and_the_gradients_are_those_of_all(family: str, tmp_path: Path) -> None:
    folder = FAMILIES[family](tmp_path / family)
    model: Any = AutoModelForImageTextToText.from_pretrained(folder).eval()
    (tmp_path / "red.png").write_bytes(picture("red"))
    pictured = (str(tmp_path / "red.png"),)
    rows = [
        TuningRow("one", MIX, "", pictured, tuple(turns("<image>\nWhat?", "It is red.", "Is it blue?", "No."))),
        TuningRow("other", MIX, "", pictured, tuple(turns("<image>\nIs it red, and what else is it?", "Yes."))),
    ]
    inputs = Encoder(AutoProcessor.from_pretrained(folder), 256).batch(rows)
    labels = inputs.pop("labels")
    learned = labels[:, 1:] != IGNORED
    count = learned.sum()

    loss_of = LearnedTokensLoss(model)
    with loss_of.of(labels):
        outputs = model(**inputs)
    assert outputs["logits"].shape[:-1] == (count,)
    loss = loss_of(outputs, labels, num_items_in_batch=count)
    gradients = gradients_of(loss, model)

    everything = model(**inputs)["logits"]
    assert everything.shape[:2] == labels.shape
    expected = torch.nn.functional.cross_entropy(everything[:, :-1][learned].float(), labels[:, 1:][learned])
    torch.testing.assert_close(loss, expected)
    for name, gradient in gradients_of(expected, model).items():
        torch.testing.assert_close(gradients[name], gradient, msg=name)


def gradients_of(loss: torch.Tensor, model: Any) -> dict[str, torch.Tensor]:
    moving = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    found = torch.autograd.grad(loss, list(moving.values()), allow_unused=True)
    return {name: gradient for name, gradient in zip(moving, found, strict=True) if gradient is not None}
