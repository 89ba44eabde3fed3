"""Requests about sessions on the bus, answered by an admission desk."""

import logging
from collections.abc import Callable
from typing import Protocol

from dxlclient.callbacks import RequestCallback
from dxlclient.message import Request

from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.verbhandlers import ResponseSender, VerbRequestCallback

_logger = logging.getLogger(__name__)


class SessionDesk(Protocol):
    """What the callbacks need of a :class:`~.desk.AdmissionDesk`."""

    def admit(self, parcel: Parcel, client_id: str) -> Parcel:
        """Begin a session, or raise ``RefusedError``."""
        ...

    def sealed(self, parcel: Parcel, client_id: str, *, crowded: bool = False) -> Parcel:
        """Carry out a request in a session, or raise ``RefusedError``."""
        ...


class AdmitRequestCallback(VerbRequestCallback):
    """Answers requests for a session.

    Args:
        dxl_client: The connected client through which answers are sent.
        desk: Answers them.
        log: Where refusals are noted.
    """

    def __init__(
        self, dxl_client: ResponseSender, desk: SessionDesk, *, log: BoundedLog | None = None
    ) -> None:
        super().__init__(dxl_client, None, Verb.ADMIT, log=log)
        self._sessions = desk

    def _answer(self, request: Request, parcel: Parcel) -> Parcel:
        return self._sessions.admit(parcel, request.source_client_id)


class SealedRequestCallback(VerbRequestCallback):
    """Answers requests in sessions.

    Args:
        dxl_client: The connected client through which answers are sent.
        desk: Answers them.
        log: Where refusals are noted.
        crowded: Whether so many answers wait to be sent that there should be no more large ones.
    """

    def __init__(
        self,
        dxl_client: ResponseSender,
        desk: SessionDesk,
        *,
        log: BoundedLog | None = None,
        crowded: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__(dxl_client, None, Verb.SEALED, log=log)
        self._sessions = desk
        self._full = crowded

    def _answer(self, request: Request, parcel: Parcel) -> Parcel:
        # Only the desk can see whether a large answer is asked for.
        crowded = self._full is not None and self._full()
        return self._sessions.sealed(parcel, request.source_client_id, crowded=crowded)


def session_callbacks(
    dxl_client: ResponseSender,
    desk: SessionDesk,
    topic: str,
    *,
    crowded: Callable[[], bool] | None = None,
) -> dict[str, RequestCallback]:
    """Return what answers the requests about sessions below a topic.

    Args:
        dxl_client: The connected client through which answers are sent.
        desk: Answers the requests; the same one may be behind several topics.
        topic: What the topics begin with: the store topic, or ``CONTROL_TOPIC``.
        crowded: Whether so many answers wait to be sent that there should be no more large ones.
    """
    log = BoundedLog(_logger)
    return {
        topic_of(Verb.ADMIT, topic): AdmitRequestCallback(dxl_client, desk, log=log),
        topic_of(Verb.SEALED, topic): SealedRequestCallback(
            dxl_client, desk, log=log, crowded=crowded
        ),
    }
