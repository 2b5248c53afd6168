"""Run configuration: one ability instead of all, for assets that are not partitioned by ability."""

import dagster as dg
from pydantic import Field

from stablellava_assets.abilities.catalog import Catalog


class OnlyAbility(dg.Config):
    """What ``stablellava demo --only`` sets, and the launchpad of the UI offers."""

    only: str | None = Field(
        default=None,
        description="One ability: its items alone are made and scored, and tuning goes on from the last checkpoint.",
    )

    def of(self, catalog: Catalog) -> str | None:
        """The ability.

        Raises:
            dagster.Failure: there is none of that name.
        """
        if self.only is not None and self.only not in catalog:
            raise dg.Failure(
                description=f"only: there is no ability {self.only!r}; there are {', '.join(catalog)}",
                allow_retries=False,
            )
        return self.only
