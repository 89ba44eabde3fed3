"""Whether those who are in a session may still do what they were let in for."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.sealing.admission import Admission
from dxlfiletransferservice.admission.credentials import refusals_of_commands
from dxlfiletransferservice.admission.seams import Access, Confinement
from dxlfiletransferservice.control.principals import Principal

RECHECK_SECONDS: Final = 5.0
"""Seconds for which nobody is looked at again: so long does who has lost his rights go on. A look
costs two questions to the database, and comes with the requests of a session."""


class Standing:
    """What somebody is let in for, and whether that is still so. Safe for several threads.

    Make it before what he shows is checked: what is changed meanwhile is found out then.

    Args:
        access: Knows users and tokens.
        confinement: Knows who is confined to what.
        admission: What is shown.
        clock: Returns seconds.
    """

    def __init__(
        self,
        access: Access,
        confinement: Confinement,
        admission: Admission,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._access = access
        self._confinement = confinement
        self._user = admission.user
        self._token = admission.token
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = clock()
        self._principal: Principal | None = None
        self._places: Mapping[str, Path] | None = None
        with refusals_of_commands():
            self._shown = self._look()

    def places(self, principal: Principal | None) -> Mapping[str, Path] | None:
        """Return where somebody may write who was let in; see ``seams.Confinement``.

        Raises:
            RefusedError: Nowhere.
        """
        self._principal = principal
        with refusals_of_commands():
            self._places = self._confinement.places(principal)
        return self._places

    def check(self) -> None:
        """Make sure that everything is as it was; ask it before each request.

        Raises:
            RefusedError: ``DENIED`` if the user or token is gone. ``UNKNOWN_SESSION`` if there is
                another password, permission, path or sandbox: who asks to be admitted again is
                told whether that is possible, and gets what holds now. ``BUSY`` if it cannot be
                found out at the moment.
        """
        with self._lock:
            now = self._clock()
            # The clock may be set back, which must not put this off until it has caught up.
            if abs(now - self._looked) < RECHECK_SECONDS:
                return
            with refusals_of_commands():
                self._check()
            # Who is refused is looked at again with his next request.
            self._looked = now

    def _check(self) -> None:
        found = self._look()
        if found is None and self._principal is not None:
            text = "the user or token that was shown does not exist any more, or has expired"
            raise RefusedError(ErrorCode.DENIED, text)
        if found != self._shown or self._confinement.places(self._principal) != self._places:
            raise RefusedError(ErrorCode.UNKNOWN_SESSION, ErrorCode.UNKNOWN_SESSION.meaning)

    def _look(self) -> str | None:
        if self._user is None and self._token is None:
            return None
        return self._access.standing(user=self._user, token=self._token)
