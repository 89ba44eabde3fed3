"""Gets files and directories from a service that speaks version 2; lists, looks and removes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from dxlfiletransferclient.calls.caller import Caller
from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.exchange.instances import not_offered
from dxlfiletransferclient.outcomes import TransferReport
from dxlfiletransferclient.progress import Phase
from dxlfiletransferclient.protocol.messages import (
    Entry,
    Kind,
    ListAnswer,
    ListRequest,
    Message,
    RemoveAnswer,
    RemoveRequest,
    StatAnswer,
    StatRequest,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.receiving.download import Download
from dxlfiletransferclient.receiving.errors import no_digest
from dxlfiletransferclient.receiving.listing import entries_of
from dxlfiletransferclient.receiving.options import GetOptions
from dxlfiletransferclient.receiving.questions import Questions
from dxlfiletransferclient.receiving.stores import Stores
from dxlfiletransferclient.receiving.wanted import PathLike, wanted_of
from dxlfiletransferclient.storage.names import parse_directory_name, parse_name

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is stored under a name.

    Attributes:
        entry: What it is.
        sha256: SHA-256 of a file in hex, if it was asked for.
    """

    entry: Entry
    sha256: str | None


class Receiver(Caller[GetOptions]):
    """Receives over a bus, and manages what is stored.

    It is made as any :class:`~dxlfiletransferclient.calls.caller.Caller`.

    Where several instances with separate stores serve the topic, a name is looked for in one of
    them, and only if that has nothing of the name in the others. All that is stored (the empty
    name) means the first.

    Example:
        >>> receiver = Receiver(bus)  # doctest: +SKIP
        >>> receiver.get(["2026/report.pdf", "pictures"], "copies/")  # doctest: +SKIP
    """

    _defaults = GetOptions()

    def get(self, names: str | Iterable[str], target: PathLike = ".") -> TransferReport:
        """Receive files and directories, and wait until all are safe on the disk.

        A file appears under its name when it is whole and its SHA-256 was compared. One that fails
        is reported, and the others are received. What was received of a file when the call fails,
        is cancelled or its process is killed stays beside the target, in a hidden file
        ``.dxlft-….part``, and the same call goes on with it. A directory comes with its name and
        everything below it.

        Args:
            names: Names on the service; empty or ``.`` for all that is stored.
            target: A directory if there is one of that name, for several names, for a directory, or
                if it ends with a separator (give a ``str`` for that); otherwise the file's path.

        Raises:
            ValueError: If there are no names, or two of them would get the same place.
            UnsafeNameError: If nothing can be stored under a name.
            RefusedError: ``NO_SERVICE`` if nobody serves version 2; ``NOT_ALLOWED`` if the service
                gives nothing away.
            NoAnswerError: If the service cannot be reached (any more).
            NotConnectedError: If the fabric cannot be reached (any more).
            TransferCancelledError: If it was cancelled.
        """
        wanted = wanted_of(names, target)
        key = "\n".join(each.name for each in wanted)
        engine, stores = self._connected(key, Verb.STAT, Verb.LIST, Verb.RETRIEVE)
        download = Download(
            self._bus,
            engine,
            stores,
            self._store_topic,
            self._new_ledger(Phase.RECEIVING),
            options=self._options,
        )
        return download.run(wanted)

    def list(self, name: str = "", *, recursive: bool = False) -> Iterator[Entry]:
        """Yield what is in a directory, in the order of the names; pages are fetched as needed.

        Args:
            name: The directory; empty for all that is stored.
            recursive: Whether to list everything below it too.

        Raises:
            UnsafeNameError: If nothing can be stored under the name.
            RefusedError: ``NOT_FOUND``, ``WRONG_KIND`` if it is no directory, or as :meth:`get`.
            FileTransferError: As :meth:`get`.
        """
        plain = "/".join(parse_directory_name(name))
        engine, stores = self._connected(plain, Verb.LIST)

        def page(request: ListRequest) -> ListAnswer:
            ask = partial(engine.ask, Verb.LIST, request, ListAnswer)
            return ask() if request.after else stores.first_that_knows(ask)

        yield from entries_of(plain, page, recursive=recursive)

    def stat(self, name: str, *, digest: bool = False) -> StoredFile:
        """Return what is stored under a name.

        Args:
            name: The name.
            digest: Whether the SHA-256 of a file is wanted; a large one is waited for as long as
                the service takes to read it.

        Raises:
            UnsafeNameError: If nothing can be stored under the name.
            RefusedError: ``NOT_FOUND``, or as :meth:`get`.
            MalformedAnswerError: If the service tells no SHA-256 though it was asked for.
            FileTransferError: As :meth:`get`.
        """
        plain = "/".join(parse_name(name))
        engine, stores = self._connected(plain, Verb.STAT)
        look = partial(self._looked_at, engine, plain, digest=digest)
        found = stores.first_that_knows(look)
        entry = found.entry[0]
        if digest and entry.kind is Kind.FILE and found.sha256 is None:
            raise no_digest(plain)
        return StoredFile(entry, found.sha256)

    def remove(self, name: str, *, recursive: bool = False) -> int:
        """Remove a file, link or directory.

        Args:
            name: Its name.
            recursive: Whether to remove a directory with everything in it.

        Returns:
            How many files, links and directories are gone; fewer than there were if an answer of
            the service was lost on its way.

        Raises:
            UnsafeNameError: If nothing can be stored under the name.
            RefusedError: ``NOT_FOUND``, ``NOT_EMPTY``, or as :meth:`get`.
            FileTransferError: As :meth:`get`.
        """
        plain = "/".join(parse_name(name))
        engine, stores = self._connected(plain, Verb.REMOVE)
        request = RemoveRequest(name=plain, recursive=recursive)
        remove = partial(engine.ask, Verb.REMOVE, request, RemoveAnswer)

        def begin() -> RemoveAnswer:
            """Look for it first, if that is offered, so that all removals are later ones."""
            if not stores.in_use.offers(Verb.STAT):
                return remove()
            self._looked_at(engine, plain, digest=False)
            return RemoveAnswer(removed=0, more=True)

        answer = stores.first_that_knows(begin)
        store_id = engine.hello.store_id
        removed = answer.removed
        while answer.more:
            try:
                answer = remove()
            except RefusedError as error:
                moved = engine.hello.store_id != store_id
                if moved or not error.means(ErrorCode.NOT_FOUND):
                    raise
                # There was something: that there is nothing now says only that an answer was lost.
                return max(removed, 1)
            removed += answer.removed
        return removed

    def _connected(self, key: str, *verbs: Verb) -> tuple[Engine, Stores]:
        """Return an engine that has found a service which offers some verbs."""
        engine = self._connected_engine(key)
        stores = Stores(engine, verbs)
        for verb in verbs:
            if not stores.in_use.offers(verb):
                raise not_offered(verb, self._store_topic)
        return engine, stores

    def _looked_at(self, engine: Engine, name: str, *, digest: bool) -> StatAnswer:
        request = StatRequest(name=name, with_sha256=digest)
        question = Questions(Verb.STAT, [request], StatAnswer, not_yet=lambda found: found.pending)
        engine.run([question])
        found = question.outcomes[0]
        if isinstance(found, BaseException):
            raise found
        return found
