"""From kept pairs to a folder: in this process where the seams are looked at, in the real one where it is killed."""

from __future__ import annotations

import functools
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
import transformers

from stablellava_assets.evaluation.answers.generation import ImageQuestion, answer
from stablellava_assets.tuning.pretrained import worker
from stablellava_assets.tuning.pretrained.chart import training_chart
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.jobs import PROGRESS, JobFolder
from stablellava_assets.tuning.pretrained.supervisor import launch_process
from stablellava_assets.tuning.pretrained.tuning import (
    Pair,
    PairImages,
    PretrainedResult,
    checkpoint_id_of,
    tune_pretrained,
)
from stablellava_assets_tests.tuning.pretrained.tunings import SYSTEM, moved, pairs, settings_for, tuned, weights
from stablellava_assets_tests.tuning.tiny import picture, turns

pytestmark = pytest.mark.slow


def prepared_in_this_process(arguments: Sequence[str], job: JobFolder, progress: Callable[[str], None]) -> int:
    """As it is launched, but for a process that only prepares: spared, since it is the same code."""
    if arguments[-1] == "--prepare-only":
        return worker.main(job.path, prepare_only=True)
    return launch_process(arguments, job, progress)


def test_adapters_are_merged_into_a_folder_that_answers(base: Path, undisturbed: PretrainedResult) -> None:
    assert moved(base, undisturbed) == {"multi_modal_projector", "model.layers"}
    assert undisturbed.loss_curve[-1][1] < undisturbed.loss_curve[0][1]
    assert [step for step, _ in undisturbed.loss_curve] == list(range(1, 13))
    assert (undisturbed.rows, undisturbed.pictures, undisturbed.rejected) == (24, 4, {})
    assert training_chart(undisturbed.log).startswith(b"\x89PNG")
    card = (undisturbed.path / "README.md").read_text()
    assert "Pictures are free." in card
    assert "| color | 24 |" in card
    assert not undisturbed.path.with_name("tuned.job").exists()
    processor = transformers.AutoProcessor.from_pretrained(undisturbed.path)
    asked = processor.apply_chat_template([{"role": "user", "content": [{"type": "text", "text": "Is it?"}]}])
    assert asked.startswith(f"{SYSTEM} USER: ")
    for folder in (base, undisturbed.path):
        said = answer(folder, [ImageQuestion(picture("red"), "Is it?")], 2, 4, print)
        assert len(said) == 1


def test_a_killed_run_goes_on_to_the_same_weights(
    base: Path, undisturbed: PretrainedResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def killed(arguments: Sequence[str], job: JobFolder, progress: Callable[[str], None]) -> int:
        def kill() -> None:
            saved = job.checkpoints("instruction") / "checkpoint-2/complete"
            while not saved.exists():
                time.sleep(0.005)
            os.kill(int((job.path / "worker.pid").read_text()), signal.SIGKILL)

        Thread(target=kill, daemon=True).start()
        return prepared_in_this_process(arguments, job, progress)

    with pytest.raises(PretrainedTuningError, match=r"ended by SIGKILL.*worker\.log"):
        tuned(settings_for(base), tmp_path / "tuned", launch=killed)
    lines: list[str] = []
    result = tuned(settings_for(base), tmp_path / "tuned", lines)
    assert "going on from checkpoint-" in capsys.readouterr().out
    assert dict(result.loss_curve) == pytest.approx(dict(undisturbed.loss_curve))
    ours, theirs = weights(result.path), weights(undisturbed.path)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_worker_ends_with_a_supervisor_that_nobody_waits_for(base: Path, tmp_path: Path) -> None:
    job = JobFolder(tmp_path)
    job.write_settings(settings_for(base))
    os.mkfifo(job.rows)
    launched = f"""if True:
        from pathlib import Path
        from {launch_process.__module__} import JobFolder, launch_process
        launch_process(["-m", "{worker.__name__}", "{job.path}", "--prepare-only"], JobFolder(Path("{job.path}")), print)
    """
    supervisor = subprocess.Popen([sys.executable, "-c", launched])
    try:
        writer = None
        while writer is None and supervisor.poll() is None:
            with suppress(OSError):  # No one reads the other end yet.
                writer = os.open(job.rows, os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(0.05)
        assert writer is not None
        supervisor.kill()
        reader = select.poll()
        reader.register(writer, 0)
        assert reader.poll(20_000) == [(writer, select.POLLERR)]
    finally:
        supervisor.wait()


def test_a_run_killed_between_the_phases_goes_on_from_the_aligned_projector(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(
        base, {"dtype": "bfloat16"}, alignment={"rows": "all", "batch_size": 8, "learning_rate": 1e-2}
    )
    undisturbed = tuned(settings, tmp_path / "undisturbed")
    train = transformers.Trainer.train

    def killed(self: Any, **options: Any) -> Any:
        if self.args.output_dir.endswith("instruction"):
            raise KeyboardInterrupt
        return train(self, **options)

    monkeypatch.setattr(transformers.Trainer, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        tuned(settings, tmp_path / "tuned")
    monkeypatch.undo()
    ours, theirs = weights(tuned(settings, tmp_path / "tuned").path), weights(undisturbed.path)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_each_part_moves_at_its_own_rate_and_the_language_models_is_told(base: Path, tmp_path: Path) -> None:
    stage = {"epochs": 1, "batch_size": 8, "learning_rate": 3e-2, "schedule": "constant_with_warmup", "warmup": 0}
    for rate, parts in ((1e-12, set()), (1e-3, {"vision_tower"})):
        result = tuned(
            settings_for(base, {"tower": "trained"}, stage={**stage, "tower_learning_rate": rate}),
            tmp_path / str(rate),
        )
        assert moved(base, result) == {"multi_modal_projector", "model.layers", *parts}
        assert {point["learning_rate"] for point in result.log} == {3e-2}


def test_memory_that_runs_out_halves_the_micro_batch_and_keeps_the_batch(
    base: Path, undisturbed: PretrainedResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    step = transformers.Trainer.training_step

    def short_of_memory(self: Any, model: Any, inputs: Any, *rest: Any) -> Any:
        seen.append(len(inputs["input_ids"]))
        if seen[-1] > 2 and self.state.global_step >= 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, model, inputs, *rest)

    monkeypatch.setattr(transformers.Trainer, "training_step", short_of_memory)
    lines: list[str] = []
    result = tuned(settings_for(base, {"lora": {"rank": 4, "alpha": 8, "dropout": 0}}), tmp_path / "tuned", lines)
    assert seen.count(4) == 2 * 3 + 1
    assert seen.count(2) == 4 * (12 - 2)
    assert any("out of memory at 4 rows at once; going on with 2" in line for line in lines)
    assert [step for step, _ in result.loss_curve] == [step for step, _ in undisturbed.loss_curve]


def test_memory_that_holds_no_row_says_what_to_change(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: Any, *_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(transformers.Trainer, "training_step", never)
    with pytest.raises(PretrainedTuningError, match="gradient_checkpointing"):
        tuned(settings_for(base), tmp_path / "tuned")
    monkeypatch.undo()
    seen: list[int] = []
    step = transformers.Trainer.training_step

    def watched(self: Any, model: Any, inputs: Any, *rest: Any) -> Any:
        seen.append(len(inputs["input_ids"]))
        return step(self, model, inputs, *rest)

    monkeypatch.setattr(transformers.Trainer, "training_step", watched)
    machine = {"device": "cpu", "workers": 0, "micro_batch": 4, "gradient_checkpointing": True}
    tuned(settings_for(base, machine=machine), tmp_path / "tuned")
    assert set(seen) == {4}


def test_compiled_layers_learn_the_same_and_no_layer_keeps_a_cache(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is generated, so that nothing is to be kept for the next token")

    monkeypatch.setattr(transformers.DynamicCache, "update", never)
    # The layers are traced and differentiated in the same way, and what comes of it is not written in C++: the
    # benchmark for a GPU, whose test runs it in small, has that done.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    results = []
    for compiled in (False, True):
        machine = {"device": "cpu", "workers": 0, "micro_batch": 4, "compile": compiled}
        model = {"lora": {"rank": 4, "alpha": 8, "dropout": 0}}
        results.append(tuned(settings_for(base, model, machine=machine), tmp_path / f"tuned-{compiled}"))
    plain, compiled_too = (weights(result.path) for result in results)
    assert plain.keys() == compiled_too.keys()
    for name, weight in plain.items():
        torch.testing.assert_close(compiled_too[name], weight, rtol=0, atol=1e-5)
    layers = [name for name in moved(base, results[1]) if "layers" in name]
    assert layers


def test_memory_that_does_not_hold_the_model_is_no_matter_of_the_micro_batch(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: Any, *_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(transformers.Trainer, "_move_model_to_device", never)
    lines: list[str] = []
    with pytest.raises(PretrainedTuningError, match="does not hold the model itself"):
        tuned(settings_for(base), tmp_path / "tuned", lines)
    assert lines == []


def test_full_tuning_after_alignment_moves_every_part_it_should(base: Path, tmp_path: Path) -> None:
    settings = settings_for(
        base,
        {"method": "full", "tower": "trained"},
        alignment={"rows": "all", "batch_size": 8, "learning_rate": 1e-2},
        stage={"epochs": 1, "batch_size": 8, "learning_rate": 1e-3, "tower_learning_rate": 1e-3},
    )
    result = tuned(settings, tmp_path / "tuned")
    assert moved(base, result) == {
        "vision_tower",
        "multi_modal_projector",
        "embed_tokens",
        "lm_head",
        "model.layers",
    }
    assert {point["phase"] for point in result.log} == {"alignment", "instruction"}


def test_two_processes_share_a_batch(base: Path, undisturbed: PretrainedResult, tmp_path: Path) -> None:
    machine = {"device": "cpu", "workers": 0, "micro_batch": 4, "processes": 2}
    settings = settings_for(base, {"lora": {"rank": 4, "alpha": 8, "dropout": 0}}, machine=machine)

    two = tuned(settings, tmp_path / "two", launch=prepared_in_this_process)
    one = tuned(settings_for(base, {"lora": {"rank": 4, "alpha": 8, "dropout": 0}}), tmp_path / "one")
    assert [step for step, _ in two.loss_curve] == [step for step, _ in one.loss_curve]
    ours, theirs = weights(two.path), weights(one.path)
    for name in theirs:
        assert torch.allclose(ours[name], theirs[name], atol=2e-3), name


@pytest.mark.parametrize(
    ("section", "extent"), [("alignment", "128 a step, each seen 5.3"), ("stage", "8 a step, each seen 4.0")]
)
def test_a_loss_that_runs_away_names_the_phases_rate(
    section: str,
    extent: str,
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(transformers.Trainer, "training_step", lambda *_: torch.tensor(float("inf")))
    settings = settings_for(
        base, **({"alignment": {"rows": "all", "batch_size": 128}} if section == "alignment" else {})
    )
    with pytest.raises(PretrainedTuningError, match=rf"lower tuning\.{section}\.learning_rate"):
        tuned(settings, tmp_path / "tuned")
    assert f"24 rows, {extent} times" in capsys.readouterr().out


@pytest.mark.parametrize("accepts_loss_kwargs", [True, False])
def test_the_micro_batch_changes_nothing_though_answers_differ_in_length(
    accepts_loss_kwargs: bool, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = transformers.LlavaForConditionalGeneration
    monkeypatch.setattr(kind, "accepts_loss_kwargs", accepts_loss_kwargs, raising=False)
    answers = ("Yes.", "It is red. " * 3)
    kept = [
        Pair(str(number), "color", "what", ("red",), tuple(turns("<image>\nIs it?", answers[number % 2])))
        for number in range(12)  # Three batches of eight: short answers, long ones, and both.
    ]
    results = []
    for micro_batch in (8, 1):
        settings = settings_for(
            base,
            {"method": "full"},
            stage={"epochs": 2, "batch_size": 8, "learning_rate": 3e-3},
            machine={"device": "cpu", "workers": 0, "micro_batch": micro_batch},
        )
        results.append(tuned(settings, tmp_path / str(micro_batch), kept=kept))
    whole, one = results
    assert dict(one.loss_curve) == pytest.approx(dict(whole.loss_curve), abs=1e-4)
    ours, theirs = weights(one.path), weights(whole.path)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-4) for name in theirs)


@pytest.mark.parametrize(
    ("visible", "processes", "seen"),
    [(None, 1, "0"), (None, 2, "0,1"), ("3,1,2", 2, "3,1"), ("GPU-8a,GPU-2c", 1, "GPU-8a"), ("", 2, "")],
)
def test_a_worker_sees_as_many_gpus_as_there_are_processes(
    visible: str | None, processes: int, seen: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    job = JobFolder(tmp_path)
    job.write_settings(settings_for(base, machine={"processes": processes}))
    lines: list[str] = []
    told = f"import os; print('{PROGRESS}' + os.environ['CUDA_VISIBLE_DEVICES'])"
    assert launch_process(["-c", told], job, lines.append) == 0
    assert lines == [seen]


@pytest.mark.parametrize(
    ("variable", "written"), [(None, None), ("PYTORCH_ALLOC_CONF", "backend:native"), ("PYTORCH_CUDA_ALLOC_CONF", "x")]
)
def test_a_worker_takes_memory_in_segments_that_grow_unless_told_otherwise(
    variable: str | None, written: str | None, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        monkeypatch.delenv(name, raising=False)
    if variable is not None and written is not None:
        monkeypatch.setenv(variable, written)
    job = JobFolder(tmp_path)
    job.write_settings(settings_for(base))
    lines: list[str] = []
    told = f"import os; print('{PROGRESS}', [v for k, v in os.environ.items() if k.endswith('ALLOC_CONF')])"
    assert launch_process(["-c", told], job, lines.append) == 0
    assert lines == [f" {[written or 'expandable_segments:True']}"]


def test_no_batch_is_spread_over_gpus_that_were_not_asked_for(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers.TrainingArguments, "n_gpu", 2)
    with pytest.raises(PretrainedTuningError, match="sees 2 GPUs and is to use one: set CUDA_VISIBLE_DEVICES"):
        tuned(settings_for(base), tmp_path / "tuned")


@pytest.mark.parametrize(
    ("model", "changes", "reason"),
    [
        ({"model": "/nowhere/llava"}, {}, "the folder /nowhere/llava is not there"),
        ({}, {"machine": {"device": "cuda", "workers": 0}}, "device is cuda, and torch .* finds none here"),
        ({"lora": {"target_modules": ["nothing"]}}, {}, "no linear layer called"),
        ({"max_length": 16}, {}, "none of 24 rows can be trained on.*longer than"),
        ({}, {"alignment": {}}, "no row asks for a description"),
    ],
)
def test_what_cannot_be_tuned_is_said_early(
    model: dict[str, Any], changes: dict[str, Any], reason: str, base: Path, tmp_path: Path
) -> None:
    with pytest.raises(PretrainedTuningError, match=reason):
        tuned(settings_for(base, model, **changes), tmp_path / "tuned")


def test_a_disk_without_room_is_said_before_any_weight_is_read(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_weights = shutil.copytree(base, tmp_path / "base", ignore=shutil.ignore_patterns("*.safetensors"))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    (tmp_path / "llava-abandoned.job/checkpoints-instruction").mkdir(parents=True)
    with (tmp_path / "llava-abandoned.job/checkpoints-instruction/optimizer.pt").open("wb") as file:
        file.truncate(250_000_000)
    with pytest.raises(
        PretrainedTuningError,
        match=r"GB free, and tuning .* may need .*for copies of the pictures.*llava-abandoned\.job \(0\.2 GB\)",
    ):
        tuned(settings_for(without_weights), tmp_path / "tuned")
    assert list((tmp_path / "tuned.job/pictures").iterdir()) == [], "nothing is copied"


def test_pictures_are_copied_once_although_copying_was_interrupted(base: Path, tmp_path: Path) -> None:
    wanted: list[set[str]] = []

    def images(image_ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
        wanted.append(set(image_ids))
        for number, color in enumerate(sorted(image_ids)):
            if number == 3 and len(wanted) == 1:
                raise KeyboardInterrupt
            yield color, picture(color)

    def killed(*arguments: Any) -> int:
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            tune_pretrained(
                pairs(), PairImages(images, len), [], settings_for(base), "id", tmp_path / "tuned", print, killed
            )
    assert list(map(len, wanted)) == [4, 1]


def test_the_identity_covers_data_and_what_shapes_the_weights(base: Path) -> None:
    settings = settings_for(base)
    same = settings_for(base, machine={"device": "auto", "micro_batch": 1})
    other = settings_for(base, {"max_length": 63})
    assert checkpoint_id_of(["a", "b"], settings) == checkpoint_id_of(["b", "a"], same)
    assert checkpoint_id_of(["a"], settings) != checkpoint_id_of(["a", "b"], settings)
    assert checkpoint_id_of(["a"], settings) != checkpoint_id_of(["a"], other)


def test_the_identity_of_a_folder_is_that_of_what_is_loaded_from_it(base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "base")
    settings = settings_for(folder)
    before = checkpoint_id_of(["a"], settings)
    (folder / "README.md").write_text("| ability | score |")
    assert checkpoint_id_of(["a"], settings) == before
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("upper", "lower"))
    assert checkpoint_id_of(["a"], settings) != before
