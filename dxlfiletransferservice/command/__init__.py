"""The command line ``dxlft``, one module for each command."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from dxlfabric.memory import keep_freed_memory
from dxlfiletransferservice import get_version
from dxlfiletransferservice.command.console import complain, complain_about, say
from dxlfiletransferservice.command.exitcodes import ExitCode, exit_code_for
from dxlfiletransferservice.command.groups import add_commands

__all__ = ["ExitCode", "command_line", "main"]

_HELP = """Files over the OpenDXL message bus.

"dxlft server" stores the files that "dxlft send" and other clients send; with nothing else
installed, it runs a small broker by itself. "dxlft get" brings them back, also to other machines.
"dxlft demo" shows everything at once.

The server is a transfer server, too: it sends files to others of its kind, keeps users apart, and
hands out tokens. "dxlft user", "share", "transfers" and "api" control it.

\b
Examples:
  dxlft demo
  dxlft server
  dxlft send report.pdf photos
  dxlft ls --recursive
  dxlft get report.pdf -o copies/
  dxlft user add jsmith
  dxlft share report.pdf
  dxlft transfers watch
"""

_EPILOG = """\b
Environment:
  DXLFT_HOME            directory for certificates, configurations and files
  DXLFT_API_PASSWORD    password of --user
  DXLFT_TOKEN_PASSWORD  password of the token of "dxlft get"

\b
Exit codes:
""" + "\n".join(f"  {int(code):3}  {code.meaning}" for code in ExitCode)


class _Group(TyperGroup):
    """Ends the process with an exit code, and every error with one line on standard error."""

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> Any:
        arguments = sys.argv[1:] if args is None else list(args)
        sys.exit(self._run(arguments))

    def _run(self, arguments: list[str]) -> int:
        verbose = "--verbose" in arguments
        try:
            code = super().main(arguments or ["--help"], prog_name="dxlft", standalone_mode=False)
        except (KeyboardInterrupt, typer.Abort):
            code = ExitCode.INTERRUPTED
        except BrokenPipeError:
            return ExitCode.FAILURE  # whoever read the output has left, and wants no more
        except Exception as error:  # noqa: BLE001 - the last resort: no traceback for people
            if hasattr(error, "format_message"):
                return _usage_error(error)
            complain_about(error, verbose=verbose)
            return exit_code_for(error)
        if code == ExitCode.INTERRUPTED:
            complain("interrupted")
        return code if isinstance(code, int) else ExitCode.SUCCESS


def _usage_error(error: Any) -> int:
    """Report an error of typer's; their base class is public in its latest versions alone."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "dxlft"
    complain(f"{error.format_message()} (see {command} --help)")
    return int(error.exit_code)


_COMMANDS: Final = {
    "demo": "demo.demo_command",
    "server": "server.server_command",
    "send": "send.send_command",
    "get": "get.get_command",
    "ls": "ls.ls_command",
    "stat": "stat.stat_command",
    "rm": "rm.rm_command",
    "share": "share.share_command",
    "api": "api.api_command",
    "broker": "broker.broker_command",
    "provision": "provision.provision_command",
}
_GROUPS: Final = {"user": "user.user_app", "transfers": "transferscommand.transfers_app"}


def command_line(arguments: Sequence[str] = ()) -> typer.Typer:
    """Return the command line, ready to be called.

    Args:
        arguments: What it will be called with. If they begin with a command, only that one is
            loaded, since all together take longer to load than most commands run.
    """
    named = arguments[0] if arguments else ""
    alone = named in (*_COMMANDS, *_GROUPS, "--version")
    app = typer.Typer(
        name="dxlft",
        help=_HELP,
        epilog=_EPILOG,
        cls=_Group,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_options)
    for name, place in _COMMANDS.items():
        if name == named or not alone:
            add_commands(app, {name: _loaded(place)})
    for name, place in _GROUPS.items():
        if name == named or not alone:
            app.add_typer(_loaded(place), name=name)
    return app


def _loaded(place: str) -> Any:
    module, _, name = place.partition(".")
    return getattr(import_module(f"{__name__}.{module}"), name)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        say(f"dxlft {get_version()}")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run ``dxlft`` with the arguments of the process, and end it with an exit code."""
    keep_freed_memory()
    command_line(sys.argv[1:])()
