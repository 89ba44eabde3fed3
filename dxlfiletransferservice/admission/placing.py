"""Puts the files of one transfer where they belong, and keeps them apart from all others."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dxlfiletransferclient.errors import UnsafeNameError, brief
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    BatchEntry,
    EntryResult,
    FinishRequest,
    Kind,
    OpenRequest,
    SegmentRequest,
    StatusRequest,
    TransferAnswer,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferclient.storage.faults import refusal_of_name
from dxlfiletransferclient.storage.interface import StoreLimits
from dxlfiletransferclient.storage.names import Parts, parse_directory_name, parse_name
from dxlfiletransferclient.storage.overwriting import NO_TERMS, Terms
from dxlfiletransferservice.admission.overwriting import OverwriteRules

FILES_REMEMBERED: Final = 4096
"""Files of a session of which it is remembered in which store they are: some hundred bytes each.

Only where there are several stores. Those of others are looked for in all of them.
"""

_ID_BYTES: Final = 32
"""Bytes of the ids that stores see: as hex, the longest that an id may be."""

_LENGTH_BYTES: Final = 4

T = TypeVar("T")


class ReceivingStore(Protocol):
    """What is needed of a store that files are put into; ``storage.local.LocalStore`` is one.

    The methods are those of ``storage.interface.Store``; older files are replaced on terms.
    """

    @property
    def limits(self) -> StoreLimits:
        """What is taken at the moment."""
        ...

    def open(self, request: OpenRequest, terms: Terms = NO_TERMS) -> TransferAnswer:
        """Begin a file, or tell how far it is."""
        ...

    def write(self, request: SegmentRequest) -> TransferAnswer:
        """Take a part of a file."""
        ...

    def status(self, request: StatusRequest) -> TransferAnswer:
        """Tell how far a file is."""
        ...

    def finish(self, request: FinishRequest) -> TransferAnswer:
        """Check a whole file and give it its name."""
        ...

    def abort(self, request: AbortRequest) -> None:
        """Drop a file under way."""
        ...

    def put(self, entries: Sequence[BatchEntry], terms: Terms = NO_TERMS) -> list[EntryResult]:
        """Store small files and directories whole."""
        ...


class Ground(Protocol):
    """Where a transfer may write: one store, or several side by side under names of their own."""

    def find(self, parts: Parts) -> tuple[ReceivingStore, Parts]:
        """Return the store that a name belongs to, and what it is called there.

        Raises:
            RefusedError: ``NOT_ALLOWED`` if it belongs to none.
        """
        ...

    def stores(self) -> Iterable[ReceivingStore]:
        """Return all stores, opened one after the other as they are asked for."""
        ...


def secret_of(private_key: PrivateKey) -> bytes:
    """Return what :class:`FileIds` need to be different on each server, from its key."""
    derivation = HKDF(hashes.SHA256(), _ID_BYTES, salt=None, info=b"dxlft ids of files")
    return derivation.derive(private_key.to_bytes())


class FileIds:
    """Makes the ids under which stores know the files of one transfer.

    They are the same in every session of the transfer, so that it goes on after an interruption,
    and nobody who does not have the secret can tell the id of somebody else's file.

    Args:
        secret: What only this server knows, 64 bytes at most.
        whose: What tells the transfer from all others: key of the sender, user, id.
    """

    def __init__(self, secret: bytes, *whose: str) -> None:
        self._hash = hashlib.blake2b(key=secret, digest_size=_ID_BYTES)
        for text in whose:
            encoded = text.encode()
            # With its length, so that no other texts add up to the same.
            self._hash.update(len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded)

    def __call__(self, file_id: str) -> str:
        """Return the id for stores of a file that the sender calls so."""
        found = self._hash.copy()
        found.update(file_id.encode())
        return found.hexdigest()


class PlacedStore:
    """Takes the files of one transfer, as a store does.

    Args:
        ground: Where they go.
        directory: Directory there below which all of them go.
        rules: What becomes of older files.
        ids: Makes the ids under which stores know the files.
        received: Is told how many bytes of files a request has brought.
    """

    def __init__(
        self,
        ground: Ground,
        directory: Parts,
        rules: OverwriteRules,
        ids: Callable[[str], str],
        received: Callable[[int], None],
    ) -> None:
        self._ground = ground
        self._directory = directory
        self._rules = rules
        self._ids = ids
        self._received = received
        self._guard = threading.Lock()
        self._homes: OrderedDict[str, ReceivingStore] = OrderedDict()

    def open(self, request: OpenRequest) -> TransferAnswer:
        """Begin a file, or tell how far it is (see ``interface.Store``)."""
        store, name = self._placed(request.name)
        file_id = self._ids(request.file_id)
        placed = self._rules.opened(request, name=name, file_id=file_id)
        answer = store.open(placed, self._rules.terms)
        with self._guard:
            self._homes[file_id] = store
            self._homes.move_to_end(file_id)
            while len(self._homes) > FILES_REMEMBERED:
                self._homes.popitem(last=False)
        return answer

    def write(self, request: SegmentRequest) -> TransferAnswer:
        """Take a part of a file (see ``interface.Store``)."""
        file_id = self._ids(request.file_id)
        placed = replace(request, file_id=file_id)
        answer = self._at_home(file_id, lambda store: store.write(placed))
        self._received(len(request.payload))
        return answer

    def status(self, request: StatusRequest) -> TransferAnswer:
        """Tell how far a file is (see ``interface.Store``)."""
        file_id = self._ids(request.file_id)
        placed = StatusRequest(file_id=file_id, flush=request.flush)
        return self._at_home(file_id, lambda store: store.status(placed))

    def finish(self, request: FinishRequest) -> TransferAnswer:
        """Check a whole file and give it its name (see ``interface.Store``)."""
        file_id = self._ids(request.file_id)
        placed = FinishRequest(file_id=file_id, size=request.size, sha256=request.sha256)
        return self._at_home(file_id, lambda store: store.finish(placed))

    def abort(self, request: AbortRequest) -> None:
        """Drop a file under way, if it is known (see ``interface.Store``)."""
        file_id = self._ids(request.file_id)
        home = self._home(file_id)
        for store in self._ground.stores() if home is None else (home,):
            store.abort(AbortRequest(file_id=file_id, reason=request.reason))

    def put(self, entries: Sequence[BatchEntry]) -> list[EntryResult]:
        """Store small files and directories whole (see ``interface.Store``)."""
        results: list[EntryResult | None] = [None] * len(entries)
        shares: dict[int, tuple[ReceivingStore, list[int], list[BatchEntry]]] = {}
        for number, entry in enumerate(entries):
            try:
                store, placed = self._placed_entry(entry)
            except RefusedError as error:
                results[number] = EntryResult(code=error.code, text=error.message)
                continue
            _, numbers, share = shares.setdefault(id(store), (store, [], []))
            numbers.append(number)
            share.append(placed)
        for store, numbers, share in shares.values():
            found = store.put(share, self._rules.terms)
            for number, result in zip(numbers, found, strict=True):
                results[number] = result
        self._received(sum(len(entry.payload) for entry in entries))
        missing = EntryResult(code=ErrorCode.INTERNAL, text="nothing became of this entry")
        return [result or missing for result in results]

    def _placed(self, name: str) -> tuple[ReceivingStore, str]:
        try:
            # By itself first, so that no '..' in it leads out of the transfer's directory.
            parts = parse_name(name)
        except UnsafeNameError as error:
            raise refusal_of_name(error) from error
        store, there = self._ground.find((*self._directory, *parts))
        if not there:
            text = f"{brief(name)} is the name of a directory that you are confined to"
            raise RefusedError(ErrorCode.WRONG_KIND, text)
        return store, "/".join(there)

    def _placed_entry(self, entry: BatchEntry) -> tuple[ReceivingStore, BatchEntry]:
        if entry.kind is Kind.LINK:
            text = f"{brief(entry.name)} is a link, and a transfer brings none"
            raise RefusedError(ErrorCode.NOT_ALLOWED, text)
        store, name = self._placed(entry.name)
        return store, self._rules.entry(entry, name=name)

    def _home(self, file_id: str) -> ReceivingStore | None:
        with self._guard:
            return self._homes.get(file_id)

    def _at_home(self, file_id: str, ask: Callable[[ReceivingStore], T]) -> T:
        """Ask the store that has a file; after a restart all of them, until one knows it."""
        home = self._home(file_id)
        if home is not None:
            return ask(home)
        unknown: RefusedError | None = None
        for store in self._ground.stores():
            try:
                return ask(store)
            except RefusedError as error:
                if not error.means(ErrorCode.UNKNOWN_TRANSFER):
                    raise
                unknown = error
        text = "no file with this id is under way here"
        raise unknown or RefusedError(ErrorCode.UNKNOWN_TRANSFER, text)


def directory_of(path: str) -> Parts:
    """Take the destination path of a transfer apart; a ``/`` at its beginning means nothing.

    Raises:
        RefusedError: ``UNSAFE_NAME`` if nothing can be stored there.

    Example:
        >>> directory_of("/reports/2024/"), directory_of("")
        (('reports', '2024'), ())
    """
    try:
        return parse_directory_name(path.lstrip("/"))
    except UnsafeNameError as error:
        raise refusal_of_name(error) from error
