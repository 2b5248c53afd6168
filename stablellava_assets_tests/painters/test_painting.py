import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stablellava_assets.painters.embedded.painting import Order, PaintingPool
from stablellava_assets.painters.embedded.scene_plan import ScenePlan, SpriteLayer
from stablellava_assets_tests.painters.specs import painted, painter, spec

ORDERS = [
    Order(str(seed), ScenePlan(drawing=(SpriteLayer(("1f418.png",)),)), seed, 48, "((elephant))")
    for seed in range(1200)
]


SCRIPT = """
import multiprocessing, sys
from stablellava_assets.painters.embedded.painting import PaintingPool
from stablellava_assets_tests.painters.test_painting import ORDERS
painting = PaintingPool(2).paint(ORDERS)
next(painting)
print("main", *(worker.pid for worker in multiprocessing.active_children()), flush=True)
sys.stdin.read()
"""


def test_a_picture_is_the_same_from_a_worker() -> None:
    specs = [spec("((turtle)), park, dreamy", seed) for seed in range(600)]
    assert painted(*specs, by=painter(workers=2)) == painted(*specs)


def test_a_worker_that_dies_is_reported_and_the_next_call_works() -> None:
    before = {worker.pid for worker in multiprocessing.active_children()}
    pool = PaintingPool(2)
    painting = pool.paint(ORDERS)
    next(painting)
    for worker in multiprocessing.active_children():
        if worker.pid not in before:
            worker.kill()
    with pytest.raises(RuntimeError, match=r"worker process died.*painter\.workers"):
        list(painting)
    assert len(list(pool.paint(ORDERS))) == len(ORDERS)


@pytest.mark.parametrize("count", [1, 600])
def test_a_picture_that_cannot_be_composed_names_its_prompt(count: int) -> None:
    broken = Order("the id", ScenePlan(drawing=(SpriteLayer(("gone.png",)),)), 7, 48, "((ghost))")
    with pytest.raises(RuntimeError, match=r"image the id: composing '\(\(ghost\)\)' with seed 7 failed"):
        list(PaintingPool(2).paint([*ORDERS[: count - 1], broken]))


def test_workers_neither_run_the_main_script_nor_outlive_it(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, script], text=True, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        word, *workers = process.stdout.readline().split()
        assert (word, len(workers)) == ("main", 2)
        os.kill(process.pid, signal.SIGKILL)
        # The workers share the output: it ends when the last of them does.
        rest, _ = process.communicate(timeout=20)
    assert rest == ""


def test_a_worker_loads_only_what_drawing_needs() -> None:
    code = (
        "import sys; from stablellava_assets.painters.embedded import painting, composition; from "
        "stablellava_assets.pictures import encoding;print(' '.join(name.split('.')[0] for name in sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"dagster", "torch", "pydantic", "pyarrow", "pandas", "scipy"} & set(loaded)
