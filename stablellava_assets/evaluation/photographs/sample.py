"""A tiny set of freely usable photographs, from the installed scikit-image and scikit-learn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from stablellava_assets.evaluation.photographs.records import Photograph
from stablellava_assets.evaluation.photographs.writing import PhotographsError

_FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}


def sample_photographs() -> Iterator[tuple[Photograph, Path]]:
    """The photographs, with the paths of their files.

    Raises:
        PhotographsError: a package is not installed.
    """
    listed = files(__package__).joinpath("sample.jsonl").read_text(encoding="utf-8")
    for line in listed.splitlines():
        photograph = Photograph.model_validate(json.loads(line))
        package, _, name = photograph.image.partition("/")
        yield photograph, _package_folder(package) / _FOLDERS[package] / name


def _package_folder(package: str) -> Path:
    # Packages are located and not imported: their images are plain files, and importing takes seconds.
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise PhotographsError(
            f"{package} is not installed; install the extra: pip install 'stablellava-assets[photographs]'"
        )
    return Path(spec.origin).parent
