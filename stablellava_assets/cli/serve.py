"""``stablellava serve-local-llm``: the chat model of the profile ``local-llm``."""

from __future__ import annotations

from contextlib import suppress
from threading import Event

import click

from stablellava_assets.endpoint.local_server import DEFAULT_PORT, LOCAL_MODEL, LocalServerOptions, serve


@click.command()
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port on this machine.",
)
@click.option("--slots", default=LocalServerOptions.slots, show_default=True, help="Concurrent requests.")
@click.option("--threads", default=LocalServerOptions.threads, show_default=True, help="Processor threads.")
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="GGUF file to serve instead of SmolLM2.")
def serve_local_llm(port: int, slots: int, threads: int, model: str | None) -> None:
    """Serve SmolLM2 to the chat author of profile local-llm until Ctrl+C."""
    server = serve(LocalServerOptions(port=port, slots=slots, threads=threads, model_path=model))
    click.echo(f"{LOCAL_MODEL} answers at {server.listening_address}/v1 (Ctrl+C ends it)")
    with suppress(KeyboardInterrupt):
        Event().wait()
