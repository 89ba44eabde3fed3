"""Who is let in, and as whom."""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferclient.errors import brief
from dxlfiletransferservice.control.commands import Login
from dxlfiletransferservice.control.identity.attempts import Attempts
from dxlfiletransferservice.control.identity.logins import Logins, hash_of
from dxlfiletransferservice.control.identity.passwords import Passwords
from dxlfiletransferservice.control.identity.rememberedpasswords import RememberedPasswords
from dxlfiletransferservice.control.identity.tokens import Tokens, principal_of
from dxlfiletransferservice.control.identity.users import Users
from dxlfiletransferservice.control.identity.wronglogins import WRONG_PASSWORD, WRONG_TOKEN
from dxlfiletransferservice.control.principals import Principal

_SESSION_BYTES: Final = 8


class ControlAccess:
    """Checks credentials; an ``admission.seams.Access``. For any number of threads.

    Args:
        users: The users.
        passwords: Compares passwords.
        tokens: The tokens.
        logins: The tickets.
        clock: Returns seconds, and never goes back; for what follows wrong passwords.
    """

    def __init__(
        self,
        users: Users,
        passwords: Passwords,
        tokens: Tokens,
        logins: Logins,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._tokens = tokens
        self._logins = logins
        self._attempts = Attempts(clock)
        self._remembered = RememberedPasswords(clock)

    def by_password(self, user: str, password: str, *, peer: str) -> Principal:
        """Return who has this name and password.

        Raises:
            AuthenticationError: Nobody, or too many wrong passwords were tried.
            CommandError: ``BUSY``; too many passwords are being compared.
        """
        found = self._users.get(user)
        name = f"user {user}"
        if found is None:
            self._compare(name, None, password, peer, WRONG_PASSWORD)
            raise AuthenticationError(WRONG_PASSWORD)
        self._compare(name, found.password_hash, password, peer, WRONG_PASSWORD)
        if self._passwords.outdated(found.password_hash):
            # If too many are being worked at, one of the next log-ons does it.
            with suppress(CommandError), self._passwords.slot():
                self._users.keep_anew(found, password)
        return Principal(found.name, may_raise=found.superuser)

    def by_token(self, token: str, password: str | None, *, peer: str) -> Principal:
        """Return whom an API token, or what a shared token, stands for.

        How often a shared token may be used is looked at by :meth:`redeem` alone, so that a
        download that was counted can be gone on with.

        Raises:
            AuthenticationError: The token or its password is wrong, it has expired, or too many
                wrong ones were tried.
            CommandError: ``BUSY``; too many passwords are being compared.
        """
        self._attempts.check(None, peer)
        row = self._tokens.good(token)
        if row is None:
            self._attempts.failed(None, peer)
            raise AuthenticationError(WRONG_TOKEN)
        if row.password_hash is not None:
            if password is None:
                raise AuthenticationError("this token needs its password")
            self._compare(f"token {row.id}", row.password_hash, password, peer, WRONG_TOKEN)
        return principal_of(row, secrets.token_hex(_SESSION_BYTES))

    def by_ticket(self, ticket: str) -> Principal:
        """Return who has logged on with a ticket; superuser if the session was, and still may be.

        Raises:
            AuthenticationError: The ticket has expired, its user or token is gone, or the password
                was changed.
        """
        row = self._logins.find(ticket)
        if row is None:
            raise _ended()
        if row.local:
            return _local(row.user, superuser=row.superuser)
        found = self._at_present(row.user, row.token, row.token_session, raised=bool(row.superuser))
        if found is None:
            raise _ended()
        return found

    def refreshed(self, principal: Principal) -> Principal | None:
        """Return somebody, whose log-on has ended since, with the rights that he has now.

        Returns:
            ``None`` if the user or token is gone, or runs the server no more; no superuser if it
            may not be any more.
        """
        if principal.local:
            runs = self._logins.is_local(principal.user)
            return _local(principal.user, superuser=principal.superuser) if runs else None
        return self._at_present(
            principal.user, principal.token, principal.token_session, raised=principal.superuser
        )

    def standing(self, *, user: str | None, token: str | None) -> str | None:
        """Return what is another one as soon as something of a user or token is changed.

        A password that is kept anew, at another cost, counts as changed, since nobody can tell.

        Args:
            user: Name of the user, or:
            token: The token. It is not looked at whether its secret is right.

        Returns:
            ``None`` if there is no such user or token, or it has expired.
        """
        if token is not None:
            row = self._tokens.unexpired(token.partition(".")[0])
            if row is None:
                return None
            return hash_of(repr((principal_of(row, None), row.secret_hash, row.password_hash)))
        found = None if user is None else self._users.get(user)
        return None if found is None else hash_of(found.password_hash)

    def redeem(self, token: str, admission: str) -> None:
        """Count a download by a shared token; the same admission is counted once.

        Raises:
            AuthenticationError: It has expired, or its limit is reached.
        """
        self._tokens.redeem(token, admission)

    def redeem_within(self, connection: Connection, token: str, admission: str) -> None:
        """Count a transfer by a shared token; see :meth:`.Tokens.redeem_within`.

        Raises:
            AuthenticationError: It has expired, its limit is reached, or that was counted before.
        """
        self._tokens.redeem_within(connection, token, admission)

    def log_on(self, login: Login, principal: Principal) -> str:
        """Give a session to somebody who has shown who he is, and return the ticket for it."""
        ticket = self._logins.issue(principal)
        before, login.ticket = login.ticket, ticket
        login.principal = principal
        if before is not None:
            self._logins.drop(before)
        return ticket

    def log_off(self, login: Login) -> None:
        """Let go of a session: its ticket is good for nothing any more."""
        ticket, login.ticket, login.principal = login.ticket, None, None
        if ticket is not None:
            self._logins.drop(ticket)

    def raise_to_superuser(self, login: Login) -> None:
        """Make the session of a superuser one that may do everything.

        Raises:
            CommandError: ``NOT_ALLOWED``; the user is none, or has logged on with a token.
        """
        principal = login.principal
        if principal is None or not principal.may_raise:
            who = "nobody" if principal is None else f"the user {brief(principal.user)}"
            if principal is not None and principal.token is not None:
                who = "a session with a token"
            raise CommandError(f"{who} may not become superuser", ErrorKind.NOT_ALLOWED)
        if login.ticket is not None:
            self._logins.raise_to_superuser(login.ticket)
        login.principal = replace(principal, superuser=True)

    def refresh(self, login: Login) -> None:
        """See whether who has logged on may go on; ask it before each command.

        Afterwards ``login.principal`` is ``None`` if the user or token is gone, the password was
        changed or the session has logged off elsewhere, and no superuser if it may not be any more.
        """
        ticket = login.ticket
        if ticket is None:
            return
        try:
            principal = self.by_ticket(ticket)
        except AuthenticationError:
            if login.ticket == ticket:
                login.principal = login.ticket = None
            return
        if login.ticket == ticket:
            login.principal = principal

    def _at_present(
        self, name: str, token: str | None, token_session: str | None, *, raised: bool
    ) -> Principal | None:
        """Return who a user, or a token, is at present; ``None`` if there is none any more.

        Args:
            name: The user.
            token: Id of the token, if the user has not logged on with the password.
            token_session: Tells log-ons with the token apart.
            raised: Whether the session has raised itself to superuser.
        """
        if token is not None:
            row = self._tokens.unexpired(token)
            return None if row is None else principal_of(row, token_session)
        user = self._users.get(name)
        if user is None:
            return None
        superuser = raised and user.superuser
        return Principal(user.name, superuser=superuser, may_raise=user.superuser)

    def _compare(self, name: str, kept: str | None, password: str, peer: str, text: str) -> None:
        """Raise unless a password is the right one.

        Args:
            name: Of whom, as attempts are counted.
            kept: What is kept of it; ``None`` for somebody who is not there.
            password: The password.
            peer: Who shows it.
            text: What to say if it is wrong.
        """
        if kept is not None and self._remembered.knows(peer, name, kept, password):
            return
        self._attempts.check(name, peer)
        with self._passwords.slot():
            # Once more: a crowd of attempts may have got here before the first of it has failed.
            self._attempts.check(name, peer)
            right = self._passwords.verify(kept, password)
            if not right:
                self._attempts.failed(name, peer)
        if not right or kept is None:
            raise AuthenticationError(text)
        self._attempts.succeeded(name, peer)
        self._remembered.remember(peer, name, kept, password)


def _local(name: str, *, superuser: bool) -> Principal:
    return Principal(name, superuser=superuser, may_raise=True, local=True)


def _ended() -> AuthenticationError:
    return AuthenticationError("the log-on has ended: log on again with server.auth")
