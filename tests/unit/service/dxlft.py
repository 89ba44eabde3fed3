"""The command line ``dxlft`` in the process of the tests."""

from collections.abc import Sequence
from typing import Any

from typer.testing import CliRunner, Result

from dxlfiletransferservice.command import command_line


def run_dxlft(arguments: Sequence[str], **more: Any) -> Result:
    """Run ``dxlft`` as its process would.

    Args:
        arguments: What follows its name.
        more: As for ``CliRunner.invoke``: ``input``, for example.
    """
    return CliRunner().invoke(command_line(arguments), list(arguments), **more)
