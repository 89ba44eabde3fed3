"""Commands for superusers."""

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.commands import Call


def require_superuser(call: Call) -> None:
    """Raise unless the session of a call has raised itself to superuser.

    Raises:
        AuthenticationError: Nobody has logged on.
        CommandError: ``NOT_ALLOWED``: the user is none, or has not called ``server.superuser``.
    """
    principal = call.principal
    if principal.superuser:
        return
    text = "only a superuser may do this"
    if principal.may_raise:
        text += ": call server.superuser first"
    raise CommandError(text, ErrorKind.NOT_ALLOWED)
