"""Answers of a test's own choice."""

from __future__ import annotations

from stablellava_assets_tests.tables.made_up import Row


def answers(base: str, tuned: str, ability: str, kind: str = "what", benchmark: str = "ai") -> list[Row]:
    """``ability_answers`` rows, as far as scores are made of them; a 1 is a right answer."""
    return [
        {
            "checkpoint_id": "c",
            "model": model,
            "benchmark": benchmark,
            "ability": ability,
            "item_id": f"{benchmark} {ability} {kind} {item}",
            "question_kind": kind,
            "correct": bit == "1",
            "answer": "yes",
            "accepted": ["yes" if bit == "1" else "no"],
        }
        for model, bits in (("base", base), ("tuned", tuned))
        for item, bit in enumerate(bits)
    ]
