"""What Dagster loads."""

from stablellava_assets.defs.automation.definitions import build_definitions

defs = build_definitions()
