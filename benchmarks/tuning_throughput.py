"""How many conversations a second tuning goes through: packed behind their picture against a sequence each.

Both run in turn, several times, in one process, on the same pictures and weights; what counts is their ratio. Usage::

    python benchmarks/tuning_throughput.py [--pictures 650]
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from embedded_experiment import embedded_tuning

from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.authors.embedded.author import EmbeddedAuthor
from stablellava_assets.models.checkpoints import load_checkpoint
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.painters.embedded.painter import EmbeddedPainter
from stablellava_assets.painters.settings import EmbeddedPainterSettings
from stablellava_assets.profiles.profile import load_profile
from stablellava_assets.tuning.embedded.base import prepare_base
from stablellava_assets.tuning.embedded.training import TrainingExample, train
from stablellava_assets.tuning.embedded.training_set import prepare

_ROUNDS = 3
_ROWS_A_PICTURE = 4


def conversations(pictures: int) -> list[TrainingExample]:
    """What the embedded author asks about pictures of all abilities."""
    catalog, author = load_catalog(), EmbeddedAuthor()
    painter = EmbeddedPainter(EmbeddedPainterSettings(kind="embedded"), catalog)
    examples = []
    for ability in catalog.values():
        specs = list(author.write_prompts(author.plan_prompts(ability, "0001", pictures // len(catalog))))
        by_id = {spec["spec_id"]: spec for spec in specs}
        images = {image["image_id"]: image for image in painter.paint(painter.plan(specs))}
        asked = author.plan_dialogues(ability, [(by_id[image["spec_id"]], image) for image in images.values()])
        for row in author.write_dialogues(asked):
            image = images[row["image_ids"][0]]
            examples.append(TrainingExample([image["image_id"]], [image["image"]["bytes"]], row["conversations"]))
    return examples


def main() -> None:
    """Print the rate of each form, the median of the rounds, and the ratio."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pictures", type=int, default=650)
    settings = embedded_tuning(load_profile().tuning)
    model_settings = settings.model.model_copy(update={"base_pictures": 13, "base_texts": 13})
    packed = conversations(arguments.parse_args().pictures)
    pictures = len({example.image_ids[0] for example in packed})
    apart = [replace(example, image_ids=[f"{example.image_ids[0]}-{index}"]) for index, example in enumerate(packed)]
    stage = settings.stage
    rates: dict[str, list[float]] = {"packed": [], "a sequence each": []}
    with TemporaryDirectory() as folder:
        catalog = load_catalog()
        painter = EmbeddedPainter(EmbeddedPainterSettings(kind="embedded"), catalog)
        tiny = settings.model_copy(update={"model": model_settings})
        base = prepare_base(tiny, catalog, painter, ModelFolders(Path(folder)), lambda line: None)
        for _ in range(_ROUNDS):
            for name, examples in (("packed", packed), ("a sequence each", apart)):
                model, processor = load_checkpoint(base)
                training_set = prepare(examples, processor, model.config, _ROWS_A_PICTURE)
                # As many conversations a step in both forms.
                per_step = stage.batch_size * len(training_set.packs) // pictures
                one_pass = stage.model_copy(update={"passes": 1, "batch_size": per_step})
                started = time.perf_counter()
                train(model, processor, training_set, one_pass, settings.seed, _quiet)
                rates[name].append(len(examples) / (time.perf_counter() - started))
    print(f"{len(packed)} conversations about {pictures} pictures, {torch.get_num_threads()} threads")
    for name, values in rates.items():
        print(f"{name:<16} {statistics.median(values):7.0f} conversations/s")
    ratio = statistics.median(rates["packed"]) / statistics.median(rates["a sequence each"])
    print(f"packed is {ratio:.2f} times as fast")


def _quiet(line: str) -> None:
    """No progress lines between the numbers."""


if __name__ == "__main__":
    main()
