"""Error handling of commands: one sentence for problems that the user can fix, a stack trace for bugs."""

from __future__ import annotations

import errno
from typing import Any

import click

from stablellava_assets.inputs.explained import ExplainedError, is_system_error, remedy_of, system_message


class CommandGroup(click.Group):
    """A group that reports the errors raised by its commands."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command.

        Raises:
            click.ClickException: it failed; the message names the file or setting, and the remedy.
        """
        try:
            return super().invoke(ctx)
        except ExplainedError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            if error.errno == errno.EPIPE or not is_system_error(error):
                raise
            raise click.ClickException(f"{system_message(error)}; {remedy_of(error)}") from None
