"""The probability of an answer: what the model's own next-token distributions multiply to."""

from __future__ import annotations

import pytest
import torch

from stablellava_assets.filters.alignment.likelihoods import Exchange, answer_probabilities
from stablellava_assets_tests.filters.alignment.tiny_scorers import opened
from stablellava_assets_tests.tuning.tiny import model_and_processor

ANSWER = "It is red, so yes."


def exchange(color: str = "red", question: str = "Is it red?", answer: str = ANSWER, **part: int) -> Exchange:
    return Exchange(opened(color), question, answer, (part.get("first", 0), part.get("last", len(answer))))


def test_it_is_the_product_of_what_decoding_step_by_step_gives() -> None:
    model, processor = model_and_processor()
    model.eval()
    (found,) = answer_probabilities(model, processor, [exchange()])
    asked = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is it red?"}]}]
    prompt = processor.apply_chat_template(asked, add_generation_prompt=True)
    probability = 1.0
    for token in processor.tokenizer(f" {ANSWER}")["input_ids"]:
        inputs = processor(images=opened("red"), text=prompt, return_tensors="pt")
        with torch.inference_mode():
            probability *= float(model(**inputs).logits[0, -1].softmax(-1)[token])
        prompt += processor.tokenizer.decode([token])
    assert found == pytest.approx(probability, rel=1e-3)


def test_a_batch_of_unequal_questions_scores_as_each_alone() -> None:
    model, processor = model_and_processor()
    model.eval()
    exchanges = [
        exchange(),
        exchange("blue", "Is it red or blue, and if it is neither, what is it?", "Yes"),
        exchange("lime", "It is red, so yes. Is it?"),
    ]
    together = answer_probabilities(model, processor, exchanges)
    alone = [answer_probabilities(model, processor, [each])[0] for each in exchanges]
    assert together == pytest.approx(alone, rel=1e-4)


def test_the_parts_of_an_answer_multiply_to_the_whole() -> None:
    model, processor = model_and_processor()
    model.eval()
    parts = [exchange(last=5), exchange(first=5, last=9), exchange(first=9)]
    first, second, third = answer_probabilities(model, processor, parts)
    (whole,) = answer_probabilities(model, processor, [exchange()])
    assert first * second * third == pytest.approx(whole, rel=1e-4)
