"""Methods by which a program says who it is."""

# ruff: noqa: N802, N803 - the names of the API

from typing import cast

from jetstream.interface import Interface
from jetstream.structures import Request


class LogOnMethods(Interface):
    """Methods by which a program says who it is."""

    def auth(
        self,
        userName: str | None = None,
        password: str | None = None,
        *,
        token: str | None = None,
    ) -> None:
        """Log on, as a user with a password or with a token.

        Everything but ``getServerInfo`` needs that. It holds until ``disconnect``; when the server
        was started anew meanwhile, the program goes on as who has logged on, for 24 hours after its
        last call.

        Args:
            userName: Name of the user; not with ``token``.
            password: Password of the user, or of the token if that has one.
            token: A shared token, which opens its manifest; or an API token, which stands for the
                user who made it, as far as it permits.

        Raises:
            AuthenticationError: They are not right; or there were so many wrong ones lately that
                the server looks at none for some seconds.

        Example:
            >>> api.server.auth("jsmith", "secret")  # doctest: +SKIP
        """
        self._logger.debug("calling server.auth")
        self._sync.log_on({"userName": userName, "password": password, "token": token})

    def authAsync(
        self,
        userName: str | None = None,
        password: str | None = None,
        *,
        token: str | None = None,
    ) -> Request:
        """Log on as :meth:`auth`, without waiting for it.

        Args:
            userName: Name of the user; not with ``token``.
            password: Password of the user, or of the token if that has one.
            token: A shared token or an API token.

        Returns:
            A request; its result is ``None``, or the error that ``auth`` would have raised. Ask for
            its status or result in any case: only then does the log-on outlive a restart of the
            server.

        Raises:
            CommandError: An argument is wrong.

        Example:
            >>> request = api.server.authAsync("jsmith", "secret")  # doctest: +SKIP
            >>> api.server.getRequestResult(request)  # doctest: +SKIP
        """
        self._logger.debug("calling server.authAsync")
        found = self._sync.log_on_later(
            {"userName": userName, "password": password, "token": token}
        )
        return cast("Request", found)

    def superuser(self) -> None:
        """Raise the session to superuser: from then on it sees and controls what all users have.

        Raises:
            CommandError: The user may not do that, or a token was used to log on.

        Example:
            >>> api.server.superuser()  # doctest: +SKIP
        """
        self._call("server.superuser")
