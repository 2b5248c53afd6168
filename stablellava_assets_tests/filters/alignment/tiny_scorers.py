"""Scoring models of a few thousand weights, and specs with pictures for them to judge."""

from __future__ import annotations

import hashlib
import io
import string
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.abilities.prompts import draw_prompt
from stablellava_assets.abilities.questions import affirmation
from stablellava_assets.filters.alignment.alignment import Alignment
from stablellava_assets.filters.alignment.models import OwnCheckpoint
from stablellava_assets.filters.settings import AlignmentSettings
from stablellava_assets.models.checkpoints import save_checkpoint
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.tables.schemas import ALIGNMENT_SCORES
from stablellava_assets.tuning.embedded.training import TrainingExample, tune
from stablellava_assets_tests.tables.made_up import Row
from stablellava_assets_tests.tuning.tiny import SETTINGS, model_and_processor, picture, turns

CATALOG = load_catalog()
COLORS = ("red", "blue")
THING = "umbrella"
SIGLIP_LENGTH = 64
"""Tokens that SigLIP's text tower reads, padding among them."""


def own_checkpoint(folder: Path) -> OwnCheckpoint:
    """A checkpoint that can tell whether a flat picture is red or blue, in the color ability's words."""
    save_checkpoint(*model_and_processor(), folder / "base-0123")
    longer = SETTINGS.model_copy(update={"stage": SETTINGS.stage.model_copy(update={"passes": 500})})
    examples = [
        TrainingExample([color], [picture(color)], turns(f"<image>\n{question}", _verdict(color, asked, answer)))
        for color in COLORS
        for asked in COLORS
        for question, answer in [_asks(asked)]
    ]
    tuned = tune(folder / "base-0123", examples, longer, folder / "tuned", lambda line: None).path
    return OwnCheckpoint("4567", tuned.name, "base-0123", ModelFolders(folder))


def _asks(color: str) -> tuple[str, str]:
    return affirmation(CATALOG.single["color"], CATALOG.single["color"].subject_named(f"{color} {THING}"))


def _verdict(shown: str, asked: str, yes: str) -> str:
    return yes if shown == asked else yes.replace(asked, shown).replace("yes", "no")


def clip_checkpoint(folder: Path) -> Path:
    """A CLIP of random weights, with a tokenizer of one token a character."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    letters = sorted(ByteLevel.alphabet())
    names = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={name: at for at, name in enumerate(names)}, merges=[], model_max_length=77)
    layers = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    config = CLIPConfig(
        text_config={**layers, **ends, "vocab_size": len(names), "max_position_embeddings": 77},
        vision_config={**layers, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPModel(config).save_pretrained(folder)
    CLIPProcessor(image_processor=pictures, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def siglip_checkpoint(folder: Path) -> Path:
    """A SigLIP of random weights, with a tokenizer of one token a character, padded to the model's full length."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipModel, SiglipProcessor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    names = ["<pad>", "<unk>", "</s>", *string.printable]
    characters = Tokenizer(WordLevel({name: at for at, name in enumerate(names)}, unk_token="<unk>"))
    characters.pre_tokenizer = Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=characters,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="</s>",
        model_max_length=SIGLIP_LENGTH,
    )
    layers = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = SiglipConfig(
        text_config={
            **layers,
            "vocab_size": len(names),
            "max_position_embeddings": SIGLIP_LENGTH,
            "projection_size": 32,
        },
        vision_config={**layers, "image_size": 32, "patch_size": 8},
    )
    torch.manual_seed(0)  # From some starts every score is 0.
    pictures = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    SiglipModel(config).save_pretrained(folder)
    SiglipProcessor(image_processor=pictures, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def spec(subject: str = f"red {THING}", ability: str = "color") -> Row:
    """A ``prompt_specs`` row about ``subject``, with the facts that the embedded author writes."""
    drawn = next(
        prompt
        for number in range(10_000)
        if (prompt := draw_prompt(CATALOG.single[ability], number))["subject"] == subject
    )
    return {"spec_id": f"spec of {subject}", "ability": ability, "batch": "0001", **drawn}


def image(shown: str, of: Row, encoded: bytes | None = None) -> Row:
    """An ``images`` row for ``of``: a flat picture in the color ``shown``."""
    encoded = picture(shown) if encoded is None else encoded
    return {
        "image_id": f"image of {of['spec_id']}",
        "spec_id": of["spec_id"],
        "image": {"bytes": encoded, "path": None},
        "sha256": hashlib.sha256(encoded).hexdigest(),
    }


def opened(color: str) -> Image.Image:
    return Image.open(io.BytesIO(picture(color))).convert("RGB")


def alignment(checkpoint: OwnCheckpoint | None = None, **settings: Any) -> Alignment:
    return Alignment(AlignmentSettings.model_validate(settings), CATALOG, checkpoint)


def asks_subject(min_score: float = 0.5, model: str = "previous", **changes: Any) -> dict[str, Any]:
    """Settings of a scorer that asks about the subject alone."""
    return {"facts": {"ask": {"subject": {"model": model, "min_score": min_score, **changes}}}}


def scored(scorer: Alignment, painted: list[tuple[Row, Row]], published: list[Row] | None = None) -> list[Row]:
    """``alignment_scores`` rows as the table gives them back."""
    pictures = {row["image_id"]: row["image"]["bytes"] for _, row in painted}

    def images(wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        return ((image_id, encoded) for image_id, encoded in pictures.items() if image_id in wanted)

    planned = scorer.plan(painted, published or [])
    rows: list[Row] = ALIGNMENT_SCORES.from_rows(
        [{**row, "run_id": "run"} for row in scorer.score(images, planned)]
    ).to_pylist()
    return rows
