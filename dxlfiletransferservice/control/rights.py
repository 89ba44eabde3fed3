"""What tokens permit."""

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.principals import Principal


def demand(principal: Principal, permission: str, purpose: str) -> None:
    """Check that somebody may do what a permission of API tokens is about.

    Shared tokens have no permissions: what they may do follows from what they can see.

    Args:
        principal: Who asks.
        permission: One of ``PERMISSIONS``.
        purpose: What it is needed for, as in "this token does not permit to ...".

    Raises:
        CommandError: The token does not permit it.
    """
    if principal.manifest_id is None and not principal.may(permission):
        raise CommandError(
            f"this token does not permit to {purpose}: it lacks the permission {permission!r}",
            ErrorKind.NOT_ALLOWED,
        )
