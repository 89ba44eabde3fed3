"""Turns what is wanted into jobs, directory by directory, as they are needed."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from dxlfiletransferclient.errors import FileTransferError, MalformedAnswerError, UnsafeNameError
from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.protocol.messages import (
    Entry,
    Kind,
    ListAnswer,
    ListRequest,
    StatAnswer,
)
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.receiving.call import Call, Errand, NotReceivedError
from dxlfiletransferclient.receiving.filejob import FileJob
from dxlfiletransferclient.receiving.listing import Tree, below, entries_of
from dxlfiletransferclient.receiving.part import Place
from dxlfiletransferclient.receiving.publications import ReadyDirectory, ReadyLink
from dxlfiletransferclient.receiving.publishing import Outcome
from dxlfiletransferclient.receiving.smallfiles import FILES_PER_JOB, SmallFilesJob
from dxlfiletransferclient.receiving.target import Target
from dxlfiletransferclient.receiving.wanted import Wanted
from dxlfiletransferclient.sending.options import Links
from dxlfiletransferclient.storage.links import check_target
from dxlfiletransferclient.storage.names import Parts


class Finder:
    """Finds what there is to receive. It makes directories and links by itself, others make files.

    Args:
        engine: Asks for the content of directories.
        call: What all share.
    """

    def __init__(self, engine: Engine, call: Call) -> None:
        self._engine = engine
        self._call = call
        self._targets: dict[Path, Target] = {}
        self._small: list[Errand] = []
        self._last_directory: tuple[Errand, bool] | None = None

    def close(self) -> None:
        """Let go of all directories."""
        for target in self._targets.values():
            target.close()

    def jobs(self, wanted: Iterable[tuple[Wanted, StatAnswer | BaseException]]) -> Iterator[Job]:
        """Yield the jobs for what is wanted, all from the instance that the engine uses.

        Args:
            wanted: What is wanted, and what the service says of it, or why it says nothing.

        Raises:
            Exception: What the engine raises if the service cannot be reached any more.
        """
        for each, look in wanted:
            if isinstance(look, BaseException):
                nothing = Entry(name=each.name, kind=Kind.FILE, size=0, modified_ns=0)
                self._end(self._named(each, nothing), Result.FAILED, look)
            elif look.entry[0].kind is Kind.DIRECTORY:
                yield from self._tree(each, look.entry[0])
            else:
                yield from self._one(self._named(each, look.entry[0]))
        if self._small:
            small, self._small = self._small, []
            yield SmallFilesJob(small, self._call)

    def _named(self, wanted: Wanted, entry: Entry) -> Errand:
        """Return the errand for a file or link that the caller has named."""
        # By the name that was asked for, whatever the answer says.
        entry = replace(entry, name=wanted.name)
        if wanted.exact is None:
            return Errand(entry, self._target(wanted.directory), wanted.parts[-1:])
        return Errand(entry, self._target(wanted.exact.parent), (wanted.exact.name,))

    def _target(self, root: Path) -> Target:
        return self._targets.setdefault(root, Target(root, self._call.publisher.touch))

    # Directories

    def _tree(self, wanted: Wanted, entry: Entry) -> Iterator[Job]:
        """Yield the jobs for a directory and everything below it."""
        tree = Tree(wanted.parts, wanted.parts[-1:])
        whole = Errand(replace(entry, name=tree.name), self._target(wanted.directory), tree.local)
        try:
            self._make(whole)
            for found in entries_of(tree.name, self._page, recursive=True):
                yield from self._below(tree, whole, found)
        except (RefusedError, MalformedAnswerError, UnsafeNameError, OSError) as error:
            self._last_directory = None
            self._end(whole, Result.FAILED, error)
        self._end_directory(())

    def _page(self, request: ListRequest) -> ListAnswer:
        return self._engine.ask(Verb.LIST, request, ListAnswer)

    def _below(self, tree: Tree, whole: Errand, entry: Entry) -> Iterator[Job]:
        try:
            errand = replace(whole, entry=entry, parts=tree.local + below(tree, entry))
        except FileTransferError as error:
            self._end(replace(whole, entry=entry), Result.FAILED, error)
            return
        self._end_directory(errand.parts)
        yield from self._one(errand)

    def _make(self, errand: Errand) -> None:
        made = errand.target.make_directory(errand.parts)
        if errand.parts:
            self._last_directory = (errand, made)

    def _end_directory(self, next_parts: Parts) -> None:
        """Report the last directory if it turns out to be empty; others go without saying."""
        if self._last_directory is None:
            return
        (errand, made), self._last_directory = self._last_directory, None
        if next_parts[: len(errand.parts)] == errand.parts:
            return
        try:
            parent = errand.target.parent_of(errand.parts)
        except (OSError, FileTransferError) as error:
            self._end(errand, Result.FAILED, error)
            return
        publication = ReadyDirectory(Place(parent, errand.parts[-1], errand.path), made=made)
        self._call.publisher.add(publication, 0, partial(self._published, errand))

    # What is in them

    def _one(self, errand: Errand) -> Iterator[Job]:
        """Yield the job for one thing, if it takes one."""
        entry = errand.entry
        self._call.found.bytes += entry.size
        if entry.kind is Kind.FILE and entry.size > self._call.segment_size:
            self._call.found.files += 1
            yield FileJob(errand, self._call)
        elif entry.kind is Kind.FILE:
            self._call.found.files += 1
            self._small.append(errand)
            if len(self._small) >= FILES_PER_JOB:
                small, self._small = self._small, []
                yield SmallFilesJob(small, self._call)
        else:
            try:
                self._make(errand) if entry.kind is Kind.DIRECTORY else self._link(errand)
            except (OSError, FileTransferError) as error:
                self._end(errand, Result.FAILED, error)

    def _link(self, errand: Errand) -> None:
        if self._call.options.links is not Links.KEEP:
            error = NotReceivedError(
                "it is a symbolic link, and these are left out unless they are to be kept"
            )
            self._end(errand, Result.SKIPPED, error)
            return
        check_target(errand.parts, errand.entry.target or "")
        place = errand.target.place(errand.parts)
        identity = self._call.part_id(errand)
        link = ReadyLink(place, identity, errand.entry, self._call.options.overwrite)
        self._call.publisher.add(link, 0, partial(self._published, errand))

    # Ending

    def _published(self, errand: Errand, outcome: Outcome) -> None:
        if isinstance(outcome, Result):
            self._end(errand, outcome)
        else:
            self._end(errand, Result.FAILED, outcome)

    def _end(self, errand: Errand, result: Result, error: BaseException | None = None) -> None:
        """Report what takes no job."""
        self._call.found.files += 1
        complete = result in (Result.STORED, Result.UNCHANGED)
        self._call.ledger.meter.whole(errand.entry.name, 0, complete=complete)
        self._call.report(errand, result, error=error)
