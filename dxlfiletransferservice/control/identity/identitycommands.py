"""Commands about who calls: logging on and off, superusers, and users."""

from collections.abc import Mapping
from typing import Any, Final

from dxlfiletransferclient.control.constants import MAX_PAGE
from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferservice.control.arguments import Arguments
from dxlfiletransferservice.control.commands import Call, Handler
from dxlfiletransferservice.control.identity.access import ControlAccess
from dxlfiletransferservice.control.identity.secretarguments import (
    MAX_TOKEN,
    optional_secret,
    secret,
)
from dxlfiletransferservice.control.identity.users import MAX_USER_NAME, Users
from dxlfiletransferservice.control.pages import fitting
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.seams import Events, Queue
from dxlfiletransferservice.control.superusers import require_superuser

_LONGEST_NAME: Final = 4 * MAX_USER_NAME
"""Characters of a user's name that are looked up; some that nobody can have are among them."""


class IdentityCommands:
    """The commands about who calls; a ``CommandGroup``.

    Args:
        access: Checks credentials.
        users: The users.
        requests: Carries out requests in the background.
        events: The event log.
    """

    def __init__(
        self, access: ControlAccess, users: Users, requests: Queue, events: Events
    ) -> None:
        self._access = access
        self._users = users
        self._requests = requests
        self._events = events

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the full names of their commands."""
        return {
            "server.auth": self._auth,
            "server.authAsync": self._auth_async,
            "server.ticket": self._ticket,
            "server.logout": self._logout,
            "server.superuser": self._superuser,
            "server.getUsers": self._get_users,
            "server.createUser": self._create_user,
            "server.deleteUser": self._delete_user,
            "server.setPassword": self._set_password,
        }

    def _auth(self, call: Call) -> dict[str, str]:
        """Log on with ``userName`` and ``password``, or with ``token`` and its ``password``.

        Returns:
            ``{"ticket": …}``, by which the program goes on in a new session.
        """
        credentials = _Credentials.taken(call.arguments)
        call.arguments.finish()
        principal = credentials.checked_by(self._access, call.login.peer)
        return {"ticket": self._access.log_on(call.login, principal)}

    def _auth_async(self, call: Call) -> dict[str, Any]:
        """Log on as ``server.auth`` does, as a request. ``server.ticket`` then tells the ticket.

        Neither is kept with the request: the arguments have a password, and the result is ``None``.
        """
        credentials = _Credentials.taken(call.arguments)
        call.arguments.finish()
        login = call.login

        def run() -> None:
            self._access.log_on(login, credentials.checked_by(self._access, login.peer))

        return self._requests.submit(call, run, store_arguments=False)

    def _ticket(self, call: Call) -> dict[str, str]:
        """Return ``{"ticket": …}`` for the log-on of this session."""
        call.arguments.finish()
        return {"ticket": call.login.ticket or self._access.log_on(call.login, call.principal)}

    def _logout(self, call: Call) -> None:
        """Log off; the ticket is good for nothing any more."""
        call.arguments.finish()
        self._access.log_off(call.login)

    def _superuser(self, call: Call) -> None:
        """Make the session of a superuser one that may do everything."""
        call.arguments.finish()
        self._access.raise_to_superuser(call.login)

    def _get_users(self, call: Call) -> list[dict[str, Any]]:
        """Return the structures of users by name: ``userName``, ``superuser``, ``creationTime``."""
        require_superuser(call)
        before = _user_name(call.arguments, "before")
        after = _user_name(call.arguments, "after")
        limit = call.arguments.optional_integer("limit", least=0, most=2**63 - 1) or MAX_PAGE
        call.arguments.finish()
        found = self._users.page(before=before, after=after, limit=min(limit, MAX_PAGE))
        return fitting(user.structure for user in found)

    def _create_user(self, call: Call) -> dict[str, Any]:
        """Add ``userName`` with ``password``, as ``superuser`` or not; return its structure."""
        require_superuser(call)
        name = call.arguments.text("userName", most=_LONGEST_NAME)
        password = secret(call.arguments, "password")
        superuser = call.arguments.flag("superuser", default=False)
        call.arguments.finish()
        added = self._users.add(name, password, superuser=superuser, call_id=call.call_id)
        self._events.record("userAdded", added.structure)
        return added.structure

    def _delete_user(self, call: Call) -> None:
        """Remove ``userName``, a name or structure, with its tokens and log-ons."""
        require_superuser(call)
        call.arguments.required("userName")
        name = _user_name(call.arguments, "userName") or ""
        call.arguments.finish()
        self._users.remove(name)
        self._events.record("userDeleted", {"userName": name})

    def _set_password(self, call: Call) -> None:
        """Change the password of ``userName`` to ``password``.

        Anybody may change his own, and says ``oldPassword`` then, unless he is superuser. Sessions
        that were logged on with the old one have to log on again, but not the one that calls.
        """
        principal = call.principal
        call.arguments.required("userName")
        name = _user_name(call.arguments, "userName") or ""
        password = secret(call.arguments, "password")
        old = optional_secret(call.arguments, "oldPassword")
        call.arguments.finish()
        if not principal.superuser:
            self._check_own(principal, name, old, call.login.peer)
        own = principal.user == name and principal.token is None
        self._users.set_password(name, password, keep_ticket=call.login.ticket if own else None)

    def _check_own(self, principal: Principal, name: str, old: str | None, peer: str) -> None:
        if principal.user != name or principal.token is not None:
            text = "only a superuser may change the password of another user"
            if principal.token is not None:
                text = "a session that has logged on with a token may change no password"
            raise CommandError(text, ErrorKind.NOT_ALLOWED)
        if old is None:
            raise CommandError("server.setPassword needs the argument 'oldPassword' as well")
        try:
            self._access.by_password(name, old, peer=peer)
        except AuthenticationError as error:
            # The session itself is as good as it was.
            text = error.message.replace("the user or the password", "the old password")
            raise CommandError(text, ErrorKind.NOT_ALLOWED) from error


class _Credentials:
    """What somebody shows who logs on."""

    def __init__(self, user: str | None, password: str | None, token: str | None) -> None:
        self._user = user
        self._password = password
        self._token = token

    @classmethod
    def taken(cls, arguments: Arguments) -> "_Credentials":
        """Take the arguments ``userName``, ``password`` and ``token``.

        Raises:
            CommandError: They are not what is needed.
        """
        user = arguments.optional_text("userName", most=_LONGEST_NAME)
        password = optional_secret(arguments, "password")
        token = optional_secret(arguments, "token", most=MAX_TOKEN)
        if token is None and (user is None or password is None):
            raise CommandError("logging on needs userName and password, or a token")
        if token is not None and user is not None:
            raise CommandError("logging on needs a userName or a token, and not both")
        return cls(user, password, token)

    def checked_by(self, access: ControlAccess, peer: str) -> Principal:
        """Return who has shown them.

        Raises:
            AuthenticationError: They are not right.
        """
        if self._token is not None:
            return access.by_token(self._token, self._password, peer=peer)
        return access.by_password(self._user or "", self._password or "", peer=peer)


def _user_name(arguments: Arguments, name: str) -> str | None:
    """Return the name of a user, which is given by itself or by a structure."""
    found = arguments.value(name)
    if isinstance(found, dict):
        found = found.get("userName", 0)
    if found is not None and not isinstance(found, str):
        raise CommandError(f"the argument {name!r} must be the name of a user, or a structure")
    return found
