"""What commands import before they do anything: imported once, in the process that warm commands are forked from.

Nothing here reads the profile or a variable of the environment as it is imported.
"""

# ruff: noqa: F401
import accelerate
import alembic.command
import dagster._cli
import dagster_dg_cli.cli
import duckdb
import great_expectations
import matplotlib.pyplot
import torch._dynamo
import transformers.models.llama.modeling_llama
import transformers.models.llava.modeling_llava

import stablellava_assets.cli.main
import stablellava_assets.evaluation.answers.generation
import stablellava_assets.filters.judge
import stablellava_assets.painters.embedded.painter
import stablellava_assets.profiles.workspace
import stablellava_assets.tuning.embedded.base
