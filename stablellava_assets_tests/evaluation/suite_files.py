"""Files in the format of published benchmarks, about pictures of one color."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from stablellava_assets_tests.tuning.tiny import picture

MMBENCH_CATEGORIES = (
    "structuralized_imagetext_understanding",
    "action_recognition",
    "attribute_comparison",
    "physical_property_reasoning",
    "nature_relation",
    "celebrity_recognition",
    "function_reasoning",
    "identity_reasoning",
    "image_emotion",
    "image_quality",
    "image_scene",
    "image_style",
    "image_topic",
    "object_localization",
    "ocr",
    "physical_relation",
    "social_relation",
    "spatial_relationship",
    "future_prediction",
    "attribute_recognition",
)


def damaged_pictures() -> dict[str, bytes]:
    """Files that are no pictures, by what is wrong with them."""
    noise, photograph, scan = Image.effect_noise((512, 512), 90), io.BytesIO(), io.BytesIO()
    noise.save(photograph, "JPEG")
    noise.save(scan, "PNG")
    before_last_chunk, _, last_chunk = scan.getvalue().rpartition(b"IDAT")
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    png = picture("red")
    return {
        "empty": b"",
        "text": b"not a picture",
        "truncated": photograph.getvalue()[:-200],
        "broken chunk": before_last_chunk + bytes(4) + last_chunk,
        "too many pixels": png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:],
    }


def _images(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for color in ("red", "blue"):
        (folder / f"{color}.png").write_bytes(picture(color))
    return folder


def write_pope(folder: Path) -> tuple[Path, Path]:
    rows = [
        {"question_id": 1, "image": "red.png", "text": "Is there a red thing in the image?", "label": "yes"},
        {"question_id": 2, "image": "blue.png", "text": "Is there a red thing in the image?", "label": "no"},
    ]
    file = folder / "coco_pope_random.json"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file, _images(folder / "val2014")


def write_mmbench(folder: Path) -> Path:
    columns = [
        "index",
        "question",
        "hint",
        "A",
        "B",
        "C",
        "D",
        "answer",
        "category",
        "image",
        "source",
        "l2-category",
        "comment",
        "split",
    ]
    encoded = base64.b64encode(picture("red")).decode()
    asked = ["red", "lime", "blue", "yellow", "A", "attribute_recognition", encoded, "own", "finegrained", "", "dev"]
    two = ["left", "right", "", "", "B", "object_localization", "1", "own", "finegrained", "", "dev"]
    rows = [
        ["1", "Which color is it?", "Look at the whole picture.", *asked],
        ["2", "On which side is it?", "", *two],
        ["1000002", "On which side is it?", "", "right", "left", "", "", "A", *two[5:]],
    ]
    file = folder / "MMBench_DEV_EN.tsv"
    file.write_text("".join("\t".join(row) + "\n" for row in [columns, *rows]))
    return file


def write_mmvet(folder: Path) -> tuple[Path, Path]:
    items = {
        "v1_0": {
            "imagename": "red.png",
            "question": "What color is it?",
            "answer": "red",
            "capability": ["rec"],
            "imagesource": "own",
        },
        "v1_1": {
            "imagename": "blue.png",
            "question": "What is x?",
            "answer": "14<OR>x = 14<AND>y = 2",
            "capability": ["ocr", "math"],
            "imagesource": "own",
        },
    }
    file = folder / "mm-vet.json"
    file.write_text(json.dumps(items, indent=2))
    return file, _images(folder / "images")


def _embedded(color: str) -> dict[str, object]:
    return {"bytes": picture(color), "path": f"{color}.png"}


def write_blink(folder: Path) -> Path:
    """BLINK's val split: images in columns, and the options a second time in ``prompt``."""
    rows = [
        {
            "idx": "val_Art_Style_1",
            "sub_task": "Art_Style",
            "question": "Which image shares the style of the first image?",
            "prompt": (
                "Some most common art painting styles are shown. Which image shares the style of the first image?\n"
                "Select from the following choices.\n(A) the second image\n(B) the third image"
            ),
            "image_1": _embedded("red"),
            "image_2": _embedded("blue"),
            "image_3": _embedded("lime"),
            "image_4": None,
            "choices": ["the second image", "the third image"],
            "answer": "(B)",
            "explanation": "",
        },
        {
            "idx": "val_Counting_1",
            "sub_task": "Counting",
            "question": "How many squares are there?",
            "prompt": "How many squares are there?\nSelect from the following choices.\n(A) 0\n(B) 3\n(C) 1\n(D) 2",
            "image_1": _embedded("red"),
            "image_2": None,
            "image_3": None,
            "image_4": None,
            "choices": ["0", "3", "1", "2"],
            "answer": "(C)",
            "explanation": "",
        },
    ]
    return _write_parquet(folder / "Art_Style" / "val-00000-of-00001.parquet", rows)


def write_muirbench(folder: Path) -> Path:
    """MuirBench's test split: marks in the question, or in the options."""
    rows = [
        {
            "idx": "1",
            "task": "Image-Text Matching",
            "image_relation": "Independent",
            "image_type": "Medical Image",
            "question": "Which color is not in <image> and <image>?",
            "options": ["red", "blue", "lime", "None of the choices provided"],
            "answer": "C",
            "image_list": [_embedded("red"), _embedded("blue")],
            "counterpart_idx": "2",
        },
        {
            "idx": "2",
            "task": "Visual Retrieval",
            "image_relation": "Partial Similarity",
            "image_type": "Natural Image",
            "question": "Which of these is like this one? <image>",
            "options": ["<image>", "<image>", "None of the choices provided"],
            "answer": "A",
            "image_list": [_embedded("red"), _embedded("red"), _embedded("blue")],
            "counterpart_idx": "1",
        },
    ]
    return _write_parquet(folder / "test-00000-of-00001.parquet", rows)


def write_mantis_eval(folder: Path) -> Path:
    """Mantis-Eval's test split: lettered options, and questions with a short answer."""
    rows = [
        {
            "id": "mantis_eval_0",
            "question_type": "multi-choice",
            "question": "Which color comes first, <image> or <image>?",
            "images": [_embedded("red"), _embedded("blue")],
            "options": ["(A) blue", "(B) red"],
            "answer": "B",
            "data_source": "own",
            "category": "order",
        },
        {
            "id": "mantis_eval_1",
            "question_type": "short-answer",
            "question": "<image> <image> How many of them are red?",
            "images": [_embedded("red"), _embedded("blue")],
            "options": [],
            "answer": "1",
            "data_source": "own",
            "category": "counting",
        },
    ]
    return _write_parquet(folder / "mantis_eval.parquet", rows)


def _write_parquet(file: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), file)
    return file
