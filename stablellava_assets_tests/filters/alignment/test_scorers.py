"""Each scorer against a small real model, and what its verdicts say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from transformers import CLIPModel, CLIPProcessor, SiglipModel, SiglipProcessor

from stablellava_assets.filters.alignment.models import OwnCheckpoint, ScorerModel
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.models.loading import PretrainedModelError
from stablellava_assets_tests.filters.alignment.tiny_scorers import (
    SIGLIP_LENGTH,
    alignment,
    asks_subject,
    clip_checkpoint,
    image,
    opened,
    scored,
    siglip_checkpoint,
    spec,
)

RED = spec("red umbrella")


def test_clip_score_is_the_weighted_cosine_of_picture_and_caption(tmp_path: Path) -> None:
    folder = clip_checkpoint(tmp_path / "clip")
    scorer = alignment(clip={"model": str(folder), "min_score": 2.5})
    (row,) = scored(scorer, [(RED, image("red", RED))])
    scene = next(fact["value"] for fact in RED["facts"] if fact["name"] == "scene")
    assert row["claim"] == f"A photo depicts red umbrella, {scene}"
    model, processor = CLIPModel.from_pretrained(folder), CLIPProcessor.from_pretrained(folder)
    with torch.inference_mode():
        output = model(**processor(images=opened("red"), text=row["claim"], return_tensors="pt"))
    cosine = float(torch.cosine_similarity(output.image_embeds, output.text_embeds))
    assert row["score"] == pytest.approx(2.5 * max(0.0, cosine), abs=1e-4)
    (finding,) = scorer.verdicts([row])[row["image_id"]].findings
    assert finding.rule == "low_clip_score"
    assert f"{row['score']:.3f}; at least 2.5 is asked ({folder})" in finding.explanation


def test_siglip_is_given_texts_padded_to_its_full_length(tmp_path: Path) -> None:
    folder = siglip_checkpoint(tmp_path / "siglip")
    colors = {spec(f"{color} umbrella")["spec_id"]: color for color in ("red", "blue")}
    shown = [(each, image(color, each)) for color in colors.values() for each in [spec(f"{color} umbrella")]]
    rows = scored(alignment(clip={"model": str(folder), "min_score": 0}), shown)
    model, processor = SiglipModel.from_pretrained(folder), SiglipProcessor.from_pretrained(folder)
    assert len(rows) == 2
    for row in rows:
        shown_color = opened(colors[row["spec_id"]])
        inputs = processor(images=shown_color, text=row["claim"], padding="max_length", return_tensors="pt")
        assert inputs["input_ids"].shape == (1, SIGLIP_LENGTH)
        with torch.inference_mode():
            output = model(**inputs)
        cosine = float(torch.cosine_similarity(output.image_embeds, output.text_embeds))
        assert row["score"] == pytest.approx(2.5 * max(0.0, cosine), abs=1e-4)
    assert any(row["score"] > 0 for row in rows)


def test_the_own_checkpoint_tells_a_right_picture_from_a_wrong_one(checkpoint: OwnCheckpoint) -> None:
    scorer = alignment(checkpoint, **asks_subject())
    blue = spec("blue umbrella")
    right, wrong = scored(scorer, [(RED, image("red", RED)), (blue, image("red", blue))])
    assert (right["question"], right["answer"]) == ("Is the umbrella red?", "It is red, so yes.")
    assert right["model"] == "llava_checkpoint 4567"
    assert right["score"] > 0.8
    assert wrong["score"] < 0.2
    verdicts = scorer.verdicts([right, wrong])
    assert verdicts[right["image_id"]].findings == ()
    (finding,) = verdicts[wrong["image_id"]].findings
    assert finding.rule == "fact_not_shown"
    assert finding.explanation.startswith("The subject 'blue umbrella' is not shown: to 'Is the umbrella blue?'")
    assert finding.explanation.endswith("; at least 0.5 is asked (llava_checkpoint 4567).")


def test_the_fact_that_reaches_the_smallest_share_of_its_threshold_is_named(checkpoint: OwnCheckpoint) -> None:
    ask = {
        "subject": {"model": "previous", "min_score": 1.0},
        "thing": {"model": "previous_base", "min_score": 0.9},
        "scene": {"model": "previous_base", "min_score": 0.0},
    }
    scorer = alignment(checkpoint, facts={"ask": ask})
    rows = scored(scorer, [(RED, image("red", RED))])
    assert {row["fact"]: row["model"] for row in rows} == {
        "subject": "llava_checkpoint 4567",
        "thing": "base-0123",
        "scene": "base-0123",
    }
    (finding,) = scorer.verdicts(rows)[rows[0]["image_id"]].findings
    assert finding.explanation.startswith("The thing 'umbrella' is not shown")


def test_an_ability_may_have_a_threshold_of_its_own(checkpoint: OwnCheckpoint) -> None:
    painted = [(RED, image("blue", RED))]
    for ability, rules in (("color", []), ("style", ["fact_not_shown"])):
        scorer = alignment(checkpoint, **asks_subject(1.0, of_ability={ability: 0.0}))
        (row,) = scored(scorer, painted)
        assert [finding.rule for finding in scorer.verdicts([row])[row["image_id"]].findings] == rules
    with pytest.raises(ValueError, match=r"facts\.ask\.subject\.of_ability: there is no ability 'colour'"):
        alignment(checkpoint, **asks_subject(of_ability={"colour": 0.0}))


def test_vqa_score_asks_about_the_whole_caption(checkpoint: OwnCheckpoint) -> None:
    scorer = alignment(checkpoint, vqa={"model": "previous", "min_score": 1, "batch_size": 1})
    (row,) = scored(scorer, [(RED, image("red", RED))])
    assert row["question"] == f'Does this figure show "{row["claim"]}"? Please answer yes or no.'
    assert (row["answer"], row["fact"]) == ("Yes", "prompt")
    assert 0 < row["score"] < 1
    (finding,) = scorer.verdicts([row])[row["image_id"]].findings
    assert finding.rule == "low_vqa_score"


def test_other_models_are_asked_for_a_yes(checkpoint: OwnCheckpoint) -> None:
    model = checkpoint.models.path_of(checkpoint.tuned)
    written = {"spec_id": "s", "ability": "animal", "batch": "0001", "subject": "axolotl", "keywords": ["lake", "8k"]}
    facts = [{"name": "subject", "value": "axolotl"}, {"name": "keyword", "value": "red panda"}]
    ask = {"subject": {"model": model, "min_score": 0}, "keyword": {"model": model, "min_score": 0}}
    rows = scored(alignment(facts={"ask": ask}), [({**written, "facts": facts}, image("red", written))])
    assert [(row["question"], row["answer"], row["model"]) for row in rows] == [
        ("Does the picture show axolotl? Please answer yes or no.", "Yes", model),
        ("Does the picture show red panda? Please answer yes or no.", "Yes", model),
    ]


@pytest.mark.parametrize("scorer", ["clip", "vqa", "facts"])
def test_a_model_that_cannot_be_loaded_is_named_with_its_setting(tmp_path: Path, scorer: str) -> None:
    missing = str(tmp_path / "missing")
    settings = asks_subject(model=missing) if scorer == "facts" else {scorer: {"model": missing, "min_score": 0}}
    with pytest.raises(PretrainedModelError, match=rf"filters\.alignment\.{scorer}.*{missing}.* could not be loaded"):
        scored(alignment(**settings), [(RED, image("red", RED))])


def test_a_checkpoint_whose_folder_is_gone_is_named(tmp_path: Path) -> None:
    gone = OwnCheckpoint("4567", "gone", "base", ModelFolders(tmp_path))
    with pytest.raises(PretrainedModelError, match=r"checkpoint 4567.*gone.*Materialize llava_checkpoint again"):
        scored(alignment(gone, **asks_subject()), [(RED, image("red", RED))])


def test_a_folder_whose_files_changed_scores_anew(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    keys = []
    for weights in (b"first", b"other", b"first"):
        (folder / "model.safetensors").write_bytes(weights)
        (folder / ".DS_Store").write_bytes(os.urandom(8))
        judge = ScorerModel("filters.alignment.vqa.model", str(folder), None)
        assert judge.identity == str(folder)
        keys.append(judge.fingerprint)
    assert keys[0] == keys[2] != keys[1]
    assert ScorerModel("filters.alignment.vqa.model", "owner/model", None).fingerprint is None
    assert ScorerModel("filters.alignment.vqa.model", "previous", None).fingerprint is None
