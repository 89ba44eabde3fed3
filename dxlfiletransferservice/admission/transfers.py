"""Lets those in who send a transfer."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    BatchAnswer,
    BatchRequest,
    DoneAnswer,
    FinishRequest,
    OpenRequest,
    SegmentRequest,
    StatusRequest,
)
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import Outcome
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission, TransferNote
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferclient.storage.names import Parts
from dxlfiletransferservice.admission.answering import Calls, answered
from dxlfiletransferservice.admission.credentials import authenticated
from dxlfiletransferservice.admission.discarding import AheadBudget, DiscardingStore, Nowhere
from dxlfiletransferservice.admission.overwriting import OverwriteRules
from dxlfiletransferservice.admission.placing import (
    FileIds,
    Ground,
    PlacedStore,
    directory_of,
    secret_of,
)
from dxlfiletransferservice.admission.receptions import Newcomer, Reception, Receptions
from dxlfiletransferservice.admission.sandboxstores import SandboxStores
from dxlfiletransferservice.admission.seams import Access, Confinement, Peer, Visit
from dxlfiletransferservice.admission.senders import AuthorizedSenders
from dxlfiletransferservice.admission.standing import Standing
from dxlfiletransferservice.control.principals import Principal

__all__ = ["AuthorizedSenders", "TransferPurpose"]

_BRINGING: Final = frozenset({Verb.SEGMENT, Verb.BATCH})
_UPLOAD: Final = "upload"


class _Place(Ground, Protocol):
    """Where a transfer writes, until it is closed."""

    def close(self) -> None:
        """Write there no more."""
        ...


class TransferPurpose:
    """Lets transfers store files; an ``admission.seams.Purpose``.

    Args:
        stores: The server's own store, and those of users who are confined.
        access: Checks users and tokens.
        confinement: Says who is confined to what.
        senders: Which senders are let in.
        receptions: Keeps what becomes of transfers.
        private_key: The server's key: by it the files of each transfer are kept apart from those
            of others, also after a restart.
        require_authentication: Whether transfers have to show a user or a token.
        clock: Returns seconds; for when somebody is looked at again.
    """

    def __init__(
        self,
        stores: SandboxStores,
        access: Access,
        confinement: Confinement,
        senders: AuthorizedSenders,
        receptions: Receptions,
        *,
        private_key: PrivateKey,
        require_authentication: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stores = stores
        self._access = access
        self._confinement = confinement
        self._senders = senders
        self._receptions = receptions
        self._secret = secret_of(private_key)
        self._require_authentication = require_authentication
        self._clock = clock
        self._budget = AheadBudget()

    def admit(self, admission: Admission, peer: Peer, session: str) -> Visit:  # noqa: ARG002
        """Begin a session.

        Raises:
            RefusedError: ``UNKNOWN_SENDER``, ``DENIED`` for wrong credentials, ``INVALID`` for what
                is no transfer, ``UNSAFE_NAME`` if nothing can be stored at its destination.
        """
        # First of all: who is not listed shall not even try passwords.
        check_sender(self._senders, peer)
        note = admission.transfer
        if note is None:
            raise RefusedError(ErrorCode.INVALID, "nothing is said about the transfer")
        rules = OverwriteRules.of(note)
        directory = directory_of(note.destination_path)
        standing = Standing(self._access, self._confinement, admission, clock=self._clock)
        principal = self._principal(admission, peer)
        place = self._place(principal, rules, standing)
        user = principal.user if principal is not None else None
        try:
            ids = FileIds(self._secret, peer.public_key, user or "", note.transfer_id)
            reception = self._receptions.begin(_newcomer(note, directory, peer, user))
        except BaseException:
            place.close()
            raise
        store = PlacedStore(place, directory, rules, ids, reception.received)

        def check() -> None:
            # Who was taken off the list stops at once.
            check_sender(self._senders, peer)
            standing.check()

        return _TransferVisit(store, place, reception, check)

    def _principal(self, admission: Admission, peer: Peer) -> Principal | None:
        principal = authenticated(self._access, admission, peer)
        if principal is None:
            if self._require_authentication:
                text = "this server takes transfers only with a user and password, or a token"
                raise RefusedError(ErrorCode.DENIED, text)
            return None
        if principal.manifest_id is not None:
            text = "a shared token is for downloads; show an API token, or a user and password"
            raise RefusedError(ErrorCode.DENIED, text)
        if not principal.may(_UPLOAD):
            text = f"the token does not permit transfers to this server: it lacks {_UPLOAD!r}"
            raise RefusedError(ErrorCode.DENIED, text)
        return principal

    def _place(
        self, principal: Principal | None, rules: OverwriteRules, standing: Standing
    ) -> _Place:
        places = standing.places(principal)
        if not rules.writes:
            main = self._stores.main
            return Nowhere(DiscardingStore(lambda: main.limits, self._budget))
        path = principal.path if principal is not None else None
        return self._stores.ground(places, directory_of(path or ""))


class _TransferVisit:
    """One session of a transfer."""

    def __init__(
        self,
        store: PlacedStore,
        place: _Place,
        reception: Reception,
        check: Callable[[], None],
    ) -> None:
        self._calls: Calls = {
            Verb.OPEN: (OpenRequest, store.open),
            Verb.SEGMENT: (SegmentRequest, store.write),
            Verb.STATUS: (StatusRequest, store.status),
            Verb.FINISH: (FinishRequest, store.finish),
            Verb.ABORT: (AbortRequest, partial(_drop, store)),
            Verb.BATCH: (BatchRequest, partial(_put, store)),
        }
        self._place = place
        self._reception = reception
        self._check = check

    def answer(self, verb: Verb, request: Parcel) -> Parcel:
        """Carry out a request."""
        self._check()
        try:
            answer = answered(self._calls, verb, request)
        except RefusedError:
            self._reception.failed()
            raise
        if verb not in _BRINGING:
            # The store counts what the others have brought.
            self._reception.received(0)
        return answer

    def left(self, outcome: Outcome | None, text: str) -> None:
        """End the session."""
        self._reception.left(outcome, text)
        self._place.close()


def check_sender(senders: AuthorizedSenders, peer: Peer) -> None:
    """Raise unless a sender is let in.

    Raises:
        RefusedError: ``UNKNOWN_SENDER``; the text names the key, which the peer has to have listed.
    """
    if senders.restricted and not senders.allows(peer.public_key):
        text = f"this server takes files from listed senders only, and {peer.public_key} is not"
        raise RefusedError(ErrorCode.UNKNOWN_SENDER, text)


def _drop(store: PlacedStore, request: AbortRequest) -> DoneAnswer:
    store.abort(request)
    return DoneAnswer()


def _put(store: PlacedStore, request: BatchRequest) -> BatchAnswer:
    return BatchAnswer(results=tuple(store.put(request.entries)))


def _newcomer(note: TransferNote, directory: Parts, peer: Peer, user: str | None) -> Newcomer:
    return Newcomer(
        sender_key=peer.public_key,
        transfer_id=note.transfer_id,
        user=user,
        total_size=note.total_size,
        destination_path="/".join(directory),
        client_id=peer.client_id,
    )
