"""What a model learns from its own wrong answers: preference pairs (DPO) beside tuning on the right answers alone.

Run: ``nice python benchmarks/preference_ablation.py DATA_FOLDER``, where the folder is that of a finished
``make demo``; it is only read. The demo's base is tuned on a first batch. It then answers the training questions of a
second batch, never those of a benchmark. Each wrong answer makes a pair: the row's own answer is chosen, that of the
model is rejected. From there, with the same pairs and as many passes: tuning on the chosen answers, and direct
preference optimization (Rafailov et al., 2023). Scored on other questions.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from arguments import positive
from embedded_experiment import Answers, Experiment, accuracy, by_seed, difference, examples_of

from stablellava_assets.evaluation.answers.generation import ImageQuestion, answer
from stablellava_assets.evaluation.scores.scoring import is_correct
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.models.checkpoints import load_checkpoint, save_checkpoint
from stablellava_assets.text.conversations import Turn, without_marks
from stablellava_assets.tuning.batches import Batch, batches
from stablellava_assets.tuning.embedded.frozen_tower import seen_by_tower, without_tower
from stablellava_assets.tuning.embedded.training import TrainingExample, tune
from stablellava_assets.tuning.embedded.training_loop import optimize
from stablellava_assets.tuning.embedded.training_report import TrainingReport
from stablellava_assets.tuning.embedded.training_set import TrainingSet, prepare
from stablellava_assets.tuning.packing import answer_logits, collate
from stablellava_assets.tuning.settings import StageSettings

TUNED, CHOSEN, PREFERRED = "tuned", "then the right answers", "then preferences"


def main() -> None:
    """All seeds, then the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--rows", type=positive, default=60, help="prompts an ability and batch")
    arguments.add_argument("--seeds", type=positive, default=3)
    arguments.add_argument("--questions", type=positive, default=50, help="an ability and kind, to report on")
    arguments.add_argument("--passes", type=float, default=2.0, help="over the pairs")
    arguments.add_argument("--beta", type=float, default=0.1)
    arguments.add_argument("--rate", type=float, default=0.1, help="factor on the profile's learning rates, for both")
    given = arguments.parse_args()
    torch.set_num_threads(min(2, torch.get_num_threads()))
    results: dict[str, list[Answers]] = {TUNED: [], CHOSEN: [], PREFERRED: []}
    with TemporaryDirectory() as scratch:
        experiment = Experiment(given.data, Path(scratch))
        stage = experiment.settings.stage
        slow = stage.model_copy(
            update={
                "passes": given.passes,
                "learning_rate": given.rate * stage.learning_rate,
                "matrix_learning_rate": given.rate * stage.matrix_learning_rate,
            }
        )
        reported = experiment.further_items(experiment.workspace.profile.benchmark.items_per_kind, given.questions)
        sizes = dict.fromkeys(experiment.workspace.catalog.single, given.rows)
        for seed in range(given.seeds):
            first, second = (experiment.write(f"{2000 + 2 * seed + at}", sizes) for at in range(2))
            tuned = experiment.tuned("first batch", examples_of(first), seed)
            pairs = wrong_answers(experiment, tuned, second)
            experiment.say(f"seed {seed}: {len(pairs)} of {len(second)} training questions answered wrong")
            again = experiment.scratch / f"chosen-{seed}"
            settings = experiment.settings.model_copy(update={"stage": slow, "seed": seed})
            tune(tuned, [chosen for chosen, _ in pairs], settings, again, lambda line: None)
            preferred = experiment.scratch / f"preferred-{seed}"
            prefer(tuned, pairs, slow, given.beta, seed, preferred)
            for name, model in {TUNED: tuned, CHOSEN: again, PREFERRED: preferred}.items():
                results[name].append(experiment.answers(model, reported))
                experiment.say(f"seed {seed}, {name}: {statistics.fmean(results[name][-1].values()):.3f}")
    print("\n| model | accuracy | 95 % interval | less the tuned one | 95 % interval | by seed |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, answers in results.items():
        compared = f"{difference(answers, results[TUNED])} | {by_seed(answers, results[TUNED])}"
        print(f"| {name} | {accuracy(answers)} | {' | | ' if name == TUNED else compared} |")


def wrong_answers(
    experiment: Experiment, model: Path, asked: Sequence[Candidate]
) -> list[tuple[TrainingExample, TrainingExample]]:
    """The row as it is and with the model's answer instead, for each question that it answers wrong."""
    questions = [
        ImageQuestion(each.image["image"]["bytes"], without_marks(each.dialogue["conversations"][0]["value"]))
        for each in asked
    ]
    most = experiment.workspace.profile.benchmark.max_new_tokens
    pairs = []
    for each, text in zip(asked, answer(model, questions, 256, most, lambda line: None), strict=True):
        dialogue = each.dialogue
        refused = {"yes": ["no"], "no": ["yes"]}.get(dialogue["expected"] or "", [])
        if is_correct(text, [dialogue["expected"] or ""], refused, dialogue["question_kind"]):
            continue
        # Each pair has its image to itself, so that its two rows are packed together.
        chosen, rejected = (
            TrainingExample([dialogue["pair_id"]], [each.image["image"]["bytes"]], turns)
            for turns in (dialogue["conversations"], _said_instead(dialogue["conversations"], text))
        )
        pairs.append((chosen, rejected))
    return pairs


def prefer(
    model_folder: Path,
    pairs: Sequence[tuple[TrainingExample, TrainingExample]],
    stage: StageSettings,
    beta: float,
    seed: int,
    destination: Path,
) -> None:
    """Direct preference optimization of all weights but the tower's, with the model itself as the reference."""
    model, processor = load_checkpoint(model_folder)
    rows = prepare([row for pair in pairs for row in pair], processor, model.config, rows_per_look=2)
    pad = processor.tokenizer.pad_token_id
    model.model.language_model.set_attn_implementation("eager")
    seen = seen_by_tower(model, processor, rows.pixels)
    steps, per_step = stage.steps_over(len(rows.packs))
    with without_tower(model):
        with torch.no_grad():
            everything = range(len(rows.packs))
            reference = torch.cat(
                [_log_likelihoods(model, rows, seen, everything[at : at + 64], pad) for at in everything[::64]]
            )

        def backward(replica: torch.nn.Module, batch: Batch) -> float:
            packs = batch.packs.tolist()
            gained = _log_likelihoods(replica, rows, seen, packs, pad) - reference[packs]
            loss = -torch.nn.functional.logsigmoid(beta * (gained[:, 0] - gained[:, 1])).sum() / per_step
            loss.backward()
            return loss.item()

        model.model.vision_tower.requires_grad_(False)
        work = batches(rows.packs, per_step, steps, 0, seed)
        optimize(model.train(), stage, steps, work, backward, TrainingReport(steps, per_step, lambda line: None))
    save_checkpoint(model.eval(), processor, destination)


def _log_likelihoods(
    model: torch.nn.Module, rows: TrainingSet, seen: torch.Tensor, packs: Sequence[int], pad: int
) -> torch.Tensor:
    """Of the chosen and the rejected answer, shape (packs, 2)."""
    packed = [rows.packs[at] for at in packs]
    logits, labels = answer_logits(model, collate(packed, pad), seen[[rows.pictures[at][0] for at in packs]])
    taken = torch.log_softmax(logits.float(), -1).gather(1, labels[:, None])[:, 0]
    # In the order of the labels: pack by pack, and in a pack the chosen answer before the rejected one.
    of = torch.tensor(
        [
            2 * at + row - 1
            for at, pack in enumerate(packed)
            for row, label in zip(pack.rows[1:], pack.labels[1:], strict=True)
            if label >= 0
        ]
    )
    return torch.zeros(2 * len(packs)).index_add(0, of, taken).view(-1, 2)


def _said_instead(conversations: Sequence[Turn], text: str) -> list[Turn]:
    return [conversations[0], {"from": "gpt", "value": text or "I do not know."}]


if __name__ == "__main__":
    main()
