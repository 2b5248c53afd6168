"""Preference pairs: rows as TRL reads them, whose wrong answers come from training data alone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stablellava_assets.exports.asking import AskedModel, ask_models, sample_of_pairs
from stablellava_assets.exports.export import export_pairs
from stablellava_assets.exports.preference import PREFERENCES
from stablellava_assets.exports.selection import SelectionError, read_pairs
from stablellava_assets.exports.splits import Splits, read_splits
from stablellava_assets.exports.wrong_answers import WRONG, WrongAnswer, WrongAnswers
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.filters.review.reviews import Review
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.models.checkpoints import save_checkpoint
from stablellava_assets.tables.schemas import FILTERED_PAIRS, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.filters.pairs import images_of, judge, noise_png, of_group
from stablellava_assets_tests.published_pairs import ANIMALS, animal, publish, publish_rows
from stablellava_assets_tests.tables.made_up import Row
from stablellava_assets_tests.tuning.tiny import model_and_processor

PARTITION = ("animal", "0001")
ASKED = "<image>\nWhich animal rests here?"


def asking(name: str, answer: str, pair_id: str | None = None, **changes: Any) -> Any:
    """A closed question about the picture of an animal."""
    described = {"question": ASKED, "kind": "what", "expected": name, "answer": answer, **changes}
    return animal(
        pair_id or name, **{"prompt": f"(({name})), meadow", "subject": name, "spec": f"spec of {name}", **described}
    )


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    """A koala that was also called a bear, in a repeat as well; rejected pairs of other kinds; two pictures."""
    two = {"question": "<image>\n<image>\nWhich animals rest here?", "expected": "koala | owl"}
    members = [asking(name, f"It is a {name}.") for name in ("koala", "owl")]
    return publish(
        tmp_path / "tables",
        [
            asking("koala", "It is a koala."),
            asking("koala", "It is a bear.", "wrong"),
            asking("koala", "  it is a BEAR! ", "wrong again"),
            asking("koala", "", "empty"),
            asking("koala", "It is a koala.", "repeat"),
            asking("koala", "A lynx.", "other question", question="<image>\nWhat else is there?"),
            asking("owl", "It is an owl."),
            asking("tram", "It is a bus.", "nobody knows"),
            of_group("both", *members, answer="A koala, then an owl.", **two),
            of_group("both wrong", *members, answer="A dog, then a cat.", **two),
        ],
    )


def exported(store: ParquetStore, folder: Path, **changes: Any) -> list[Row]:
    export_pairs("preference", store, [PARTITION], folder, Splits(), **changes)
    rows: list[Row] = pq.read_table(folder / "data").to_pylist()
    return rows


def test_datasets_loads_the_layout_that_trl_documents(store: ParquetStore, tmp_path: Path) -> None:
    exported(store, tmp_path / "out")
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"), split="train")
    rows = {row["chosen_pair_id"]: row for row in loaded}
    assert rows.keys() == {"koala", "both"}
    row = rows["koala"]
    assert row["prompt"] == [
        {
            "role": "user",
            "content": [{"type": "image", "text": None}, {"type": "text", "text": "Which animal rests here?"}],
        }
    ]
    for side, text in (("chosen", "It is a koala."), ("rejected", "It is a bear.")):
        assert row[side] == [{"role": "assistant", "content": [{"type": "text", "text": text}]}]
    (picture,) = row["images"]
    with Image.open(io.BytesIO(noise_png("spec of koala"))) as painted:
        assert picture.tobytes() == painted.tobytes()
    parts = [part["type"] for part in rows["both"]["prompt"][0]["content"]]
    assert (len(rows["both"]["images"]), parts) == (2, ["image", "image", "text"])


def test_both_sides_say_where_they_come_from(store: ParquetStore, tmp_path: Path) -> None:
    rows = {row["chosen_pair_id"]: row for row in exported(store, tmp_path / "out")}
    assert list(rows["koala"]) == [field.name for field in PREFERENCES.columns]
    rules = rows["koala"]["rejected_rules"]
    assert set(rules) & WRONG
    told = {key: value for key, value in rows["koala"].items() if key.startswith(("chosen_", "rejected_"))}
    assert told == {
        "chosen_pair_id": "koala",
        "chosen_author": "chat",
        "chosen_model": "a-chat-model",
        "rejected_source": "rejected_pair",
        "rejected_pair_id": "wrong",
        "rejected_author": "chat",
        "rejected_model": "a-chat-model",
        "rejected_rules": rules,
    }
    readme = (tmp_path / "out/README.md").read_text()
    assert "2 rows, one for each wrong answer" in readme
    assert "| dialogues | chat | a-chat-model | 4 |" in readme
    assert "Left out: 1 pairs, each of which has a question to which no wrong answer is known." in readme
    assert "license: other" in readme


def test_no_row_is_about_a_picture_of_a_benchmark(tmp_path: Path) -> None:
    pairs = [asking("koala", "It is a koala."), asking("koala", "It is a bear.", "wrong")]
    store = publish(tmp_path / "tables", pairs)
    item: Any = {"item_id": "item", "benchmark": "photos", "prompt": None, "question": "?", "perceptual_hash": None}
    item["sha256"] = pairs[0].image["sha256"]
    known = BenchmarkFingerprints([item], 2)
    decided = {"koala": Review(pair_id="koala", decision="keep", reviewer="me")}
    judged = judge(pairs, [], known, FilterSettings(), reviews=decided)
    assert [row["pair_id"] for row in judged.kept] == ["koala"]
    publish_rows(store, FILTERED_PAIRS, PARTITION, judged.kept)
    publish_rows(store, REJECTED_PAIRS, PARTITION, judged.rejected)
    assert sample_of_pairs(store, [PARTITION], 5, 0) == []
    with pytest.raises(SelectionError, match="1 pairs: each has a question to which no wrong answer is known"):
        exported(store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_same_data_makes_the_same_bytes_in_the_same_splits(store: ParquetStore, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export_pairs("preference", store, [PARTITION], tmp_path / name, read_splits(["test=0.5"]))
    assert (tmp_path / "one/SHA256SUMS").read_bytes() == (tmp_path / "two/SHA256SUMS").read_bytes()


def test_models_are_asked_a_seeded_sample_of_training_questions(tmp_path: Path) -> None:
    pairs = [asking(name, f"It is a {name}.") for name in ANIMALS]
    pairs += [asking("koala", "A koala dozes.", "open", question="<image>\nWhat is going on?", expected=None)]
    store = publish(tmp_path / "tables", pairs)
    save_checkpoint(*model_and_processor(), tmp_path / "base")
    drawn = sample_of_pairs(store, [PARTITION], 5, 0)
    assert drawn == sample_of_pairs(store, [PARTITION], 5, 0)
    assert len(drawn) == 5
    assert {pair["pair_id"] for pair in drawn} != {
        pair["pair_id"] for pair in sample_of_pairs(store, [PARTITION], 5, 1)
    }
    assert len(sample_of_pairs(store, [PARTITION], 50, 0)) == len(ANIMALS)
    lines: list[str] = []
    asked = ask_models(
        store,
        [PARTITION],
        drawn,
        [AskedModel("base", "models/base", str(tmp_path / "base"))],
        tmp_path,
        4,
        None,
        lines.append,
    )
    assert lines[0] == "asking base model 5 questions of kept pairs"
    assert asked.keys() <= {pair["pair_id"] for pair in drawn}
    rows = exported(store, tmp_path / "out", wrong=WrongAnswers(store, asked))
    assert {row["chosen_pair_id"] for row in rows} == asked.keys()
    assert {(row["rejected_source"], row["rejected_author"], row["rejected_model"]) for row in rows} == {
        ("base", "base", "models/base")
    }
    assert "Texts by the author 'base' were written by models/base; the terms of that model apply to them." in (
        (tmp_path / "out/README.md").read_text()
    )


def test_an_answer_that_keywords_find_right_is_no_wrong_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yes = {"question": "<image>\nIs it a koala?", "kind": "yes_no", "expected": "yes"}
    store = publish(
        tmp_path / "tables",
        [
            asking("koala", "It is a koala."),
            asking("owl", "It is an owl."),
            asking("koala", "Yes, a koala.", "yes", **yes),
        ],
    )
    said = {"Which animal rests here?": "That may be a koala, I think.", "Is it a koala?": "It is a bear, so no."}
    monkeypatch.setattr(
        "stablellava_assets.exports.asking.answers_of",
        lambda path, questions, *_: enumerate(said[each.question.removeprefix("<image>\n")] for each in questions),
    )
    drawn = sample_of_pairs(store, [PARTITION], 9, 0)
    found = ask_models(store, [PARTITION], drawn, [AskedModel("tuned", "t", "t")], tmp_path, 4, None, lambda line: None)
    assert {pair_id: wrong[0].text for pair_id, wrong in found.items()} == {
        "owl": "That may be a koala, I think.",
        "yes": "It is a bear, so no.",
    }
    same = WrongAnswer("it is an OWL", "base", {"author": "base", "model": None})
    known = WrongAnswers(store, {"owl": [same, same, *found["owl"]]})
    (owl,) = [pair for pair in read_pairs(store, [PARTITION]) if pair.pair_id == "owl"]
    assert known.of(owl) == found["owl"]


def test_images_are_those_of_the_kept_pair(store: ParquetStore, tmp_path: Path) -> None:
    for row in exported(store, tmp_path / "out"):
        pictures = dict(images_of([asking("koala", ""), asking("owl", "")])(row["image_ids"]))
        assert [image["bytes"] for image in row["images"]] == [pictures[name] for name in row["image_ids"]]
