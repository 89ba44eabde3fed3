"""Lets those in who show a shared token, to fetch what it opens."""

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Protocol

from dxlfiletransferclient.protocol.messages import ListRequest, RetrieveRequest, StatRequest
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import Outcome
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission
from dxlfiletransferservice.admission.answering import Calls, answered
from dxlfiletransferservice.admission.credentials import authenticated, refusals_of_commands
from dxlfiletransferservice.admission.manifestreader import ManifestChild, ManifestReader
from dxlfiletransferservice.admission.manifeststore import ManifestStore
from dxlfiletransferservice.admission.seams import Access, Peer, Visit
from dxlfiletransferservice.admission.sourcefiles import SourceFiles
from dxlfiletransferservice.admission.standing import RECHECK_SECONDS
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.courier.seams import SourceGuard

__all__ = ["DownloadPurpose", "ManifestChild", "ManifestReader", "SourceGuards"]


class SourceGuards(Protocol):
    """Says which files may be read for whom."""

    def guard(self, principal: Principal) -> SourceGuard:
        """Return what says it for somebody."""
        ...


class DownloadPurpose:
    """Lets holders of shared tokens fetch files; an ``admission.seams.Purpose``.

    Each download is counted against the limit of the token when it begins. It is the same one as
    long as it comes from the same key and under the same id, so that it can go on after an
    interruption; a deleted or expired token does not end it. Files have to be ones that could be
    read when it began, and can be now.

    Args:
        access: Checks and counts tokens.
        manifests: Knows what they open.
        guards: Says which files may be read in the name of who has made a token.
        clock: Returns seconds; for when that is found out again.
    """

    def __init__(
        self,
        access: Access,
        manifests: ManifestReader,
        guards: SourceGuards,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._access = access
        self._manifests = manifests
        self._guards = guards
        self._clock = clock
        self._files = SourceFiles()

    def admit(self, admission: Admission, peer: Peer, session: str) -> Visit:  # noqa: ARG002
        """Begin a session.

        Raises:
            RefusedError: ``DENIED`` if the token is wrong, has expired or was used too often.
        """
        if admission.token is None:
            raise RefusedError(ErrorCode.DENIED, "a download needs a shared token")
        principal = authenticated(self._access, admission, peer)
        if principal is None or principal.manifest_id is None or principal.token is None:
            text = "the token is for the control API, and opens no download"
            raise RefusedError(ErrorCode.DENIED, text)
        with refusals_of_commands():
            guard = _RenewedGuard(self._guards, principal, self._clock)
            self._access.redeem(principal.token, _name_of(admission, peer))
        store = ManifestStore(principal.manifest_id, self._manifests, self._files, guard)
        return _DownloadVisit(store)

    def close(self) -> None:
        """End what is being read; may be repeated."""
        self._files.close()


class _RenewedGuard:
    """Lets only those files be read that could be read at first, and can be now.

    Without the first guard, a token that was deleted would open more than before: nobody knows any
    more what it was confined to.
    """

    def __init__(
        self, guards: SourceGuards, principal: Principal, clock: Callable[[], float]
    ) -> None:
        self._guards = guards
        self._principal = principal
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = clock()
        self._first = self._now = guards.guard(principal)

    def check(self, path: str) -> None:
        """Look at a path (see ``seams.SourceGuard``)."""
        self._first.check(path)
        current = self._renewed()
        if current is not self._first:
            current.check(path)

    def _renewed(self) -> SourceGuard:
        with self._lock:
            now = self._clock()
            if abs(now - self._looked) >= RECHECK_SECONDS:
                self._now = self._guards.guard(self._principal)
                self._looked = now
            return self._now


class _DownloadVisit:
    """One session of a download."""

    def __init__(self, store: ManifestStore) -> None:
        self._calls: Calls = {
            Verb.STAT: (StatRequest, store.stat),
            Verb.LIST: (ListRequest, store.page),
            Verb.RETRIEVE: (RetrieveRequest, store.retrieve),
        }

    def answer(self, verb: Verb, request: Parcel) -> Parcel:
        """Carry out a request."""
        return answered(self._calls, verb, request)

    def left(self, outcome: Outcome | None, text: str) -> None:
        """Do nothing: a download leaves nothing behind."""


def _name_of(admission: Admission, peer: Peer) -> str:
    """Return what names a download, so that nobody goes on with that of somebody else."""
    digest = hashlib.sha256(peer.public_key.encode() + b"\0" + admission.admission_id.encode())
    return digest.hexdigest()
