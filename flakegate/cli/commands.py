"""A group of commands, each in a file of its own that is loaded only when it is called."""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping


class Commands(click.Group):
    """listed: the commands, each with what it does in a line. prefix: of the names of their files.

    The file `{prefix}{name}` has the command as `command`; a `-` of its name is a `_` there.
    elsewhere: of those that do not belong here, the prefix of their own.
    """

    def __init__(
        self,
        *args: Any,
        listed: Mapping[str, str],
        prefix: str,
        elsewhere: Mapping[str, str] = MappingProxyType({}),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._listed = listed
        self._prefix = prefix
        self._elsewhere = elsewhere

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a working day, not of the alphabet."""
        del ctx
        return list(self._listed)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """None: no such command."""
        del ctx
        if cmd_name not in self._listed:
            return None
        prefix = self._elsewhere.get(cmd_name, self._prefix)
        file = f"{prefix}{cmd_name.replace('-', '_')}"
        command: click.Command = importlib.import_module(file).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Adds the nearest command's name to the message for a misspelt one."""
        if args and args[0] not in self._listed and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], self._listed, n=1)
            hint = (
                f"Did you mean '{near[0]}'?" if near else f"`{ctx.command_path} --help` lists them."
            )
            raise click.UsageError(f"There is no command '{args[0]}'. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(self._listed.items()))
