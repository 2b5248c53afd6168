"""The resources that assets get from a profile, by name: the UI lists them, and tests can replace them."""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg

from stablellava_assets.defs.batch_size import BatchSizes
from stablellava_assets.defs.published import Tables
from stablellava_assets.profiles.workspace import Workspace


def resources_of(workspace: Workspace) -> dict[str, dg.ResourceDefinition]:
    """The resources of the code location. Expensive ones are created by the first run that needs them."""

    def made(make: Callable[[], object], description: str) -> dg.ResourceDefinition:
        return dg.ResourceDefinition(lambda _: make(), description=description)

    profile = workspace.profile
    return {
        "profile": made(lambda: profile, "Every setting of a run."),
        "catalog": made(lambda: workspace.catalog, "The abilities, from their YAML files."),
        "author": made(lambda: workspace.author, f"Writes prompts and dialogues: {profile.author.kind}."),
        "painter": made(lambda: workspace.painter, f"Makes images from prompts: {profile.painter.kind}."),
        "batch_painter": made(
            lambda: workspace.batch_painter, "The painter; or the best of several of its images (painter.best_of)."
        ),
        "tables": made(
            lambda: Tables(
                workspace.store,
                workspace.warehouse,
                workspace.folder.journal,
                workspace.folder.locks,
                workspace.quarantine,
                profile.gates,
                workspace.first_batch,
                workspace.check_storage,
            ),
            f"The published tables, in {profile.tables_root}.",
        ),
        "folder": made(lambda: workspace.folder, f"The local data folder, {workspace.folder.path}."),
        "models": made(lambda: workspace.models, "The checkpoints, and where they are published."),
        "batch_sizes": made(
            lambda: BatchSizes(workspace.plans, profile.rows_per_batch, publishes=profile.planning is not None),
            "How many prompts each batch gets.",
        ),
        "gallery": made(lambda: workspace.gallery, "The page that shows kept and rejected pairs."),
        "report": made(lambda: workspace.report, "The pages that report the gain per ability."),
    }
