"""How commands fail: one sentence for what a user can fix, a stack trace for a bug."""

from __future__ import annotations

import errno
from typing import Any

import click

from stablellava_assets.inputs.explained import ExplainedError, is_system_error, remedy_of, system_message


class CommandGroup(click.Group):
    """A group whose commands raise what is wrong and leave it to the group to say it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was typed.

        Raises:
            click.ClickException: it cannot be done; the message names the file or setting, and what to do.
        """
        try:
            return super().invoke(ctx)
        except ExplainedError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            if error.errno == errno.EPIPE or not is_system_error(error):
                raise
            raise click.ClickException(f"{system_message(error)}; {remedy_of(error)}") from None
