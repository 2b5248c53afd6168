"""Files in the format of published benchmarks, about pictures of one color."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from pathlib import Path

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
