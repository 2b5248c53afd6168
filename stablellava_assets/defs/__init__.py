"""The Dagster layer: one file per asset, and what automates them."""

import warnings

from dagster import BetaWarning

# Backfill policies are in beta and would warn at every definition, on every command.
warnings.filterwarnings("ignore", category=BetaWarning)
