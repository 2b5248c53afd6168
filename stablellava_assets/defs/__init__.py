"""The Dagster layer: one file per asset, and what automates them."""

import warnings

from dagster import BetaWarning

# Backfill policies are beta and would warn at every definition, on every command a person types.
warnings.filterwarnings("ignore", category=BetaWarning)
