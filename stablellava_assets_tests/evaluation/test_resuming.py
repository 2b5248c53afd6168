"""A killed run has kept the answers it had."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from stablellava_assets.models.checkpoints import save_checkpoint
from stablellava_assets.tables.journal import RowJournal
from stablellava_assets.tables.schemas import ABILITY_ANSWERS
from stablellava_assets_tests.evaluation import answerer
from stablellava_assets_tests.project import ROOT
from stablellava_assets_tests.tuning.tiny import model_and_processor


def _kept(folder: Path) -> int:
    with RowJournal(folder, ABILITY_ANSWERS, ("c",)) as journal:
        kept: int = journal.rows().num_rows
        return kept


def test_answers_survive_kill_9(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    save_checkpoint(*model_and_processor(), checkpoint)
    undisturbed = answerer.answer_all(checkpoint, tmp_path / "undisturbed").data
    command = [sys.executable, "-m", answerer.__name__, str(checkpoint), str(tmp_path / "killed")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while _kept(tmp_path / "killed") < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = _kept(tmp_path / "killed")
    resumed = answerer.answer_all(checkpoint, tmp_path / "killed")
    assert 3 <= kept < answerer.QUESTIONS
    assert (resumed.resumed, resumed.computed) == (kept, answerer.QUESTIONS - kept)
    assert resumed.data.equals(undisturbed)
