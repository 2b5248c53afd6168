"""The same checkpoint on the same yes-no questions, in lmms-eval and in this project: do answers and figures agree?

Run it where both are installed (docs/measuring.md says how):

    python benchmarks/lmms_eval_peer/score_with_both.py DATA ABILITY

DATA is a data folder with a checkpoint and the painted benchmark. The yes-no items of ABILITY are written as a POPE
file, with pictures, and as the dataset of a task that uses lmms-eval's own code for POPE's figures.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "WANDB_MODE": "disabled"}

from stablellava_assets.evaluation.answers.answer_rows import ask_model, plan_answers
from stablellava_assets.evaluation.answers.pictures import held_pictures
from stablellava_assets.evaluation.scores.scoring import score_answers
from stablellava_assets.evaluation.suites.pope import read_pope
from stablellava_assets.models.checkpoints import load_checkpoint
from stablellava_assets.tables.checkpoints import checkpoints
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK
from stablellava_assets.tables.score_rows import Checkpoint
from stablellava_assets.tables.store import ParquetStore

FIGURES = ("accuracy", "precision", "recall", "f1_score", "yes_ratio")
TOKENS = 32
TASK = """\
task: pope_local
dataset_path: parquet
dataset_kwargs:
  data_files: {{test: {data}}}
test_split: test
output_type: generate_until
doc_to_visual: !function {pope}.pope_doc_to_visual
doc_to_text: !function {pope}.pope_doc_to_text
doc_to_target: answer
generation_kwargs: {{max_new_tokens: {tokens}, temperature: 0, do_sample: false}}
filter_list:
  - name: first_yes_or_no
    filter:
      - {{function: regex, regex_pattern: '(?i)\\b(yes|no)\\b'}}
      - {{function: take_first}}
process_results: !function {pope}.pope_process_results
metric_list:
{metrics}
lmms_eval_specific_kwargs: {{default: {{pre_prompt: "", post_prompt: ""}}}}
metadata: [{{version: 0.0}}]
"""


def main() -> None:
    """Print the figures of both, and on how many answers they agree."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("ability")
    given = arguments.parse_args()
    data = given.data
    store = ParquetStore(str(data / "tables"))
    checkpoint = checkpoints(store, Checkpoint)[-1]
    folder = Path(tempfile.mkdtemp())
    asked = [
        row
        for row in store.read_all(ABILITY_BENCHMARK, [(given.ability,)]).to_pylist()
        if row["question_kind"] == "yes_no"
    ]
    pope, images = write_pope(folder, asked)
    ours, our_answers = score_here(data, checkpoint, pope, images)
    theirs, their_answers = score_there(folder, data / checkpoint["path"], asked)
    same = sum(one.strip() == other.strip() for one, other in zip(our_answers, their_answers, strict=True))
    print(f"{len(asked)} questions, {same} answers alike")
    for name in FIGURES:
        print(f"{name:<10} here {ours[name]:.4f}  lmms-eval {theirs[name]:.4f}")


def write_pope(folder: Path, asked: list[dict[str, Any]]) -> tuple[Path, Path]:
    """The items as a POPE file and a folder of pictures."""
    images = folder / "images"
    images.mkdir()
    lines = []
    for number, row in enumerate(asked):
        (images / f"{number}.png").write_bytes(row["image"]["bytes"])
        line = {"question_id": number, "image": f"{number}.png", "text": row["question"], "label": row["accepted"][0]}
        lines.append(json.dumps(line))
    file = folder / "painted_pope_random.json"
    file.write_text("\n".join(lines))
    return file, images


def score_here(data: Path, checkpoint: Checkpoint, pope: Path, images: Path) -> tuple[dict[str, float], list[str]]:
    """This project's figures of the tuned model, and its answers in order."""
    items = read_pope(pope, images, "pope")
    planned = plan_answers(checkpoint, items, held_pictures(items), TOKENS, None, controlled=())
    tuned = [row for row in planned if row.inputs.columns["model"] == "tuned"]
    batches = ask_model(data / checkpoint["path"], tuned, 32, TOKENS, print)
    rows = {row["answer_id"]: row for batch in batches for row in batch}
    scores = [row for row in score_answers(list(rows.values())) if row["question_kind"] == "yes_no"]
    figures = {**scores[-1], "f1_score": scores[-1]["f1"]}
    return {name: figures[name] for name in FIGURES}, [rows[row.row_id]["answer"] for row in tuned]


def score_there(folder: Path, model: Path, asked: list[dict[str, Any]]) -> tuple[dict[str, float], list[str]]:
    """The figures that lmms-eval's code computes of its own answers, and these answers in order."""
    import datasets
    from lmms_eval import evaluator
    from lmms_eval.models.chat.huggingface import Huggingface
    from lmms_eval.tasks import TaskManager

    dataset = datasets.Dataset.from_list(
        [
            {"question_id": number, "image": row["image"], "question": row["question"], "answer": row["accepted"][0]}
            for number, row in enumerate(asked)
        ],
        features=datasets.Features(
            {
                "question_id": datasets.Value("int64"),
                "image": datasets.Image(),
                "question": datasets.Value("string"),
                "answer": datasets.Value("string"),
            }
        ),
    )
    dataset.to_parquet(folder / "test.parquet")
    tasks = folder / "tasks"
    tasks.mkdir()
    (tasks / "local_pope.py").write_text("from lmms_eval.tasks.pope.utils import *\n")
    metrics = "\n".join(
        f"  - {{metric: pope_{name}, aggregation: !function local_pope.pope_aggregate_{name}, higher_is_better: true}}"
        for name in FIGURES
    )
    task = TASK.format(data=folder / "test.parquet", pope="local_pope", tokens=TOKENS, metrics=metrics)
    (tasks / "pope_local.yaml").write_text(task)
    asking = Huggingface(pretrained=str(model), device="cpu", device_map="cpu")
    # lmms-eval 0.7.3 loads such checkpoints through AutoModel, which has no language head, and names its (absent)
    # sounds as transformers 4 did.
    asking._model, _ = load_checkpoint(model)
    process = type(asking.processor).__call__
    type(asking.processor).__call__ = lambda self, *args, audios=None, **named: process(self, *args, **named)
    results = evaluator.simple_evaluate(
        model=asking,
        tasks=["pope_local"],
        task_manager=TaskManager("ERROR", include_path=str(tasks), include_defaults=False),
        batch_size=1,
        log_samples=True,
    )
    found = results["results"]["pope_local"]
    figures = {name: found[f"pope_{name},first_yes_or_no"] for name in FIGURES}
    samples = sorted(results["samples"]["pope_local"], key=lambda sample: sample["doc_id"])
    return figures, [sample["resps"][0][0] for sample in samples]


if __name__ == "__main__":
    main()
