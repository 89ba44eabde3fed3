"""Methods about users: who can log on with a password."""

# ruff: noqa: N802, N803 - the names of the API

from jetstream.interface import Interface
from jetstream.structures import User


class UserMethods(Interface):
    """Methods about users; all but a change of one's own password are for superusers."""

    def getUsers(self) -> list[User]:
        """Return the users in the order of their names.

        Returns:
            The users.

        Raises:
            CommandError: The session is not superuser.

        Example:
            >>> [each["userName"] for each in api.server.getUsers()]  # doctest: +SKIP
            ['admin', 'jsmith']
        """
        return self._sync.objects("server.getUsers", "userName")

    def createUser(
        self,
        userName: str,
        password: str,
        superuser: bool | None = None,  # noqa: FBT001 - as in the other methods
    ) -> User:
        """Add a user.

        Args:
            userName: 1 to 64 letters, digits and ``._@-``; capitals count as other letters.
            password: 1 to 1024 characters.
            superuser: Whether the user may raise sessions to superuser; no by default.

        Returns:
            The user.

        Raises:
            CommandError: The session is not superuser, a value is wrong, or the name is taken.

        Example:
            >>> api.server.createUser("jsmith", "secret")["superuser"]  # doctest: +SKIP
            False
        """
        found: User = self._call(
            "server.createUser", userName=userName, password=password, superuser=superuser
        )
        return found

    def deleteUser(self, userName: str) -> None:
        """Remove a user with log-ons and tokens; destinations, manifests and transfers stay.

        Args:
            userName: The user.

        Raises:
            CommandError: The session is not superuser, or there is no such user.

        Example:
            >>> api.server.deleteUser("jsmith")  # doctest: +SKIP
        """
        self._call("server.deleteUser", userName=userName)

    def setPassword(self, userName: str, password: str, oldPassword: str | None = None) -> None:
        """Change the password of a user, whose other sessions have to log on again.

        Args:
            userName: The user: oneself, or anybody for a superuser.
            password: The new password, 1 to 1024 characters.
            oldPassword: The password until now; a superuser does not need it.

        Raises:
            CommandError: It is somebody else, there is no such user, or the password is wrong.

        Example:
            >>> api.server.setPassword("jsmith", "a better one", "secret")  # doctest: +SKIP
        """
        self._call(
            "server.setPassword", userName=userName, password=password, oldPassword=oldPassword
        )
