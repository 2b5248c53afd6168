"""What Dagster loads."""

from stablellava_assets.automation.definitions import build_definitions

defs = build_definitions()
