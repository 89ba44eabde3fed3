"""Commands that belong together, as ``dxlft user add`` and ``dxlft user list``."""

import inspect
from collections.abc import Callable, Collection, Mapping

import typer

from dxlfiletransferservice.command.console import say


def help_of(text: str | None) -> str:
    """Return a docstring as help: a backspace in it, which keeps lines apart, is two characters."""
    return inspect.cleandoc(text or "").replace(r"\b", "\b")


def add_commands(
    app: typer.Typer,
    commands: Mapping[str, Callable[..., None]],
    *,
    plain_numbers: Collection[str] = (),
) -> None:
    """Add commands, whose docstrings are their help.

    Args:
        app: What they become commands of.
        commands: The functions by name.
        plain_numbers: Names of those that take ``-1`` for a number, and not for an option.
    """
    for name, command in commands.items():
        settings = {"ignore_unknown_options": True} if name in plain_numbers else None
        app.command(name, help=help_of(command.__doc__), context_settings=settings)(command)


def group(
    text: str,
    commands: Mapping[str, Callable[..., None]],
    *,
    plain_numbers: Collection[str] = (),
) -> typer.Typer:
    """Return commands that belong together; without any of them, their help is shown.

    Args:
        text: Help of the group.
        commands: The functions by name.
        plain_numbers: As for :func:`add_commands`.
    """
    app = typer.Typer(
        help=help_of(text),
        add_completion=False,
        rich_markup_mode=None,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )

    @app.callback()
    def show_help(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            say(context.get_help())

    add_commands(app, commands, plain_numbers=plain_numbers)
    return app
