"""Answers parcels by asking a store. No input or output of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    BatchAnswer,
    BatchRequest,
    DoneAnswer,
    FinishRequest,
    HelloAnswer,
    HelloRequest,
    ListRequest,
    Message,
    OpenRequest,
    RemoveRequest,
    RetrieveRequest,
    SegmentRequest,
    StatRequest,
    StatusRequest,
)
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.verbs import REVISION, STORE_VERBS, Verb
from dxlfiletransferclient.storage.interface import Store

ALL_VERBS: Final = STORE_VERBS
"""What a service offers unless it is configured to offer less."""

SESSION_VERBS: Final = frozenset({Verb.ADMIT, Verb.SEALED})
"""What a transfer server answers beside its store."""

_Calls = Mapping[Verb, tuple[type[Message], Callable[[Any], Message]]]


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Who a transfer server says it is.

    Attributes:
        public_key: Its key for sessions.
        uid: Its persistent id.
        name: What people call it.
    """

    public_key: str
    uid: str
    name: str


class Desk:
    """Turns requests into calls of a store, and what it returns into answers.

    Args:
        store: The store.
        verbs: The verbs that are offered; ``hello`` tells them.
        identity: The transfer server that the store belongs to, if it admits to sessions; somebody
            else answers the verbs of those.

    Example:
        >>> desk.answer(Verb.HELLO, encode(HelloRequest()))  # doctest: +SKIP
        Parcel(fields={'revision': '0', ...}, payload=b'')
    """

    def __init__(
        self,
        store: Store,
        verbs: frozenset[Verb] = ALL_VERBS,
        *,
        identity: ServerIdentity | None = None,
    ) -> None:
        self._store = store
        self._identity = identity
        self.verbs = verbs | {Verb.HELLO}
        self._calls: _Calls = {
            Verb.HELLO: (HelloRequest, self._hello),
            Verb.OPEN: (OpenRequest, store.open),
            Verb.SEGMENT: (SegmentRequest, store.write),
            Verb.STATUS: (StatusRequest, store.status),
            Verb.FINISH: (FinishRequest, store.finish),
            Verb.ABORT: (AbortRequest, self._abort),
            Verb.BATCH: (BatchRequest, self._batch),
            Verb.RETRIEVE: (RetrieveRequest, store.retrieve),
            Verb.LIST: (ListRequest, store.list),
            Verb.STAT: (StatRequest, store.stat),
            Verb.REMOVE: (RemoveRequest, store.remove),
        }

    def answer(self, verb: Verb, request: Parcel) -> Parcel:
        """Carry out one request.

        Args:
            verb: What the topic of the request says.
            request: What it carries.

        Returns:
            What the answer carries.

        Raises:
            RefusedError: The request is not valid or cannot be carried out.
        """
        kind, call = self._calls[verb]
        return encode(call(decode(kind, request)))

    def _hello(self, _request: HelloRequest) -> HelloAnswer:
        limits = self._store.limits
        identity = self._identity
        offered = self.verbs if identity is None else self.verbs | SESSION_VERBS
        return HelloAnswer(
            revision=REVISION,
            store_id=self._store.store_id,
            segment_size=limits.segment_size,
            window=limits.window,
            verbs=" ".join(sorted(offered)),
            public_key=identity.public_key if identity else None,
            server_uid=identity.uid if identity else None,
            server_name=identity.name if identity else None,
        )

    def _abort(self, request: AbortRequest) -> DoneAnswer:
        self._store.abort(request)
        return DoneAnswer()

    def _batch(self, request: BatchRequest) -> BatchAnswer:
        return BatchAnswer(results=tuple(self._store.put(request.entries)))
