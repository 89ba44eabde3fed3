"""The stored files, directories and links of a store in memory."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.errors import UnsafeNameError, brief
from dxlfiletransferclient.protocol.limits import MAX_PAYLOAD
from dxlfiletransferclient.protocol.messages import (
    BatchEntry,
    Entry,
    Kind,
    ListAnswer,
    ListRequest,
    Overwrite,
    RemoveAnswer,
    RemoveRequest,
    RetrieveAnswer,
    RetrieveRequest,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.names import Parts, parse_name

REMOVE_STEP: Final = 1000
"""Entries that one call of ``remove`` removes at most, so that no answer takes long."""

_PAGE_BYTES: Final = MAX_PAYLOAD - 64 * 1024
_ENTRY_OVERHEAD: Final = 256
"""Bytes of an entry in a page beside its name and target: keys, numbers and version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What is stored under a name.

    Attributes:
        kind: What it is.
        content: Bytes of a file.
        sha256: Their SHA-256.
        version: Version of a file.
        modified_ns: Modification time, in nanoseconds since 1970.
        executable: Whether a file is executable.
        target: Where a link leads to.
    """

    kind: Kind
    content: bytes = b""
    sha256: str | None = None
    version: str = ""
    modified_ns: int = 0
    executable: bool = False
    target: str | None = None

    def same_as(self, other: "Node") -> bool:
        """Whether both have the same content."""
        return (self.kind, self.sha256, self.target) == (other.kind, other.sha256, other.target)


class MemoryTree:
    """Names, and what is stored under them. Not for several threads.

    Args:
        links: Whether symbolic links are stored.
    """

    def __init__(self, *, links: bool) -> None:
        self._links = links
        self._nodes: dict[Parts, Node] = {}
        self._used = 0
        self._versions = 0

    @property
    def used(self) -> int:
        """Bytes of all files."""
        return self._used

    @property
    def files(self) -> dict[str, bytes]:
        """The content of every file by its name."""
        return {
            "/".join(parts): node.content
            for parts, node in sorted(self._nodes.items())
            if node.kind is Kind.FILE
        }

    def copy(self) -> "MemoryTree":
        """Return a tree of its own with the same entries."""
        found = MemoryTree(links=self._links)
        found._nodes = dict(self._nodes)
        found._used, found._versions = self._used, self._versions
        return found

    def version_of(self, parts: Parts) -> str | None:
        """Return the version of a file; ``None`` if there is none."""
        node = self._nodes.get(parts)
        return node.version if node and node.kind is Kind.FILE else None

    def keeps(self, parts: Parts, overwrite: Overwrite, modified_ns: int | None) -> bool:
        """Tell at the beginning of a file whether an older one is sure to be kept.

        Args:
            parts: The name.
            overwrite: What becomes of an older file.
            modified_ns: When the new one was modified; ``None`` for now.

        Raises:
            RefusedError: ``WRONG_KIND``; ``EXISTS`` is found out only by :meth:`publish`.
        """
        self._check_way(parts)
        old = self._nodes.get(parts)
        if old is None:
            return False
        if old.kind is Kind.DIRECTORY:
            raise _refused(ErrorCode.WRONG_KIND, parts, "is a directory")
        if overwrite is Overwrite.NEWER:
            return modified_ns is not None and old.modified_ns >= modified_ns
        return overwrite is Overwrite.KEEP

    def publish(
        self, parts: Parts, new: Node, overwrite: Overwrite, modified_ns: int | None
    ) -> TransferState:
        """Store something under a name, as the overwrite mode says.

        Raises:
            RefusedError: ``WRONG_KIND``, ``EXISTS``.
        """
        if self.keeps(parts, overwrite, modified_ns):
            return TransferState.KEPT
        old = self._nodes.get(parts)
        if old is not None and overwrite is Overwrite.FAIL:
            if old.same_as(new):
                return TransferState.STORED
            raise _refused(ErrorCode.EXISTS, parts, "exists and is to be kept")
        self._make_parents(parts, new.modified_ns)
        self._used += len(new.content) - (len(old.content) if old else 0)
        self._nodes[parts] = new
        return TransferState.STORED

    def file(self, content: bytes, sha256: str, modified_ns: int, *, executable: bool) -> Node:
        """Return a file with a version of its own, to be published."""
        self._versions += 1
        return Node(
            kind=Kind.FILE,
            content=content,
            sha256=sha256,
            version=f"v{self._versions}",
            modified_ns=modified_ns,
            executable=executable,
        )

    def put(self, entry: BatchEntry, now_ns: int) -> TransferState:
        """Store one entry of a batch.

        Raises:
            RefusedError: Everything that can be wrong with it.
        """
        parts = parsed(entry.name)
        modified_ns = now_ns if entry.modified_ns is None else entry.modified_ns
        if entry.kind is Kind.DIRECTORY:
            return self._put_directory(parts, modified_ns)
        if entry.kind is Kind.LINK:
            self._check_link(parts, entry.target or "")
            link = Node(kind=Kind.LINK, target=entry.target, modified_ns=modified_ns)
            return self.publish(parts, link, entry.overwrite, entry.modified_ns)
        content = bytes(entry.payload)
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 != entry.sha256:
            raise _refused(ErrorCode.CORRUPT, parts, "has another SHA-256 than the batch says")
        new = self.file(content, sha256, modified_ns, executable=entry.executable)
        return self.publish(parts, new, entry.overwrite, entry.modified_ns)

    def retrieve(self, request: RetrieveRequest) -> RetrieveAnswer:
        """Read a part of a file; see :meth:`~dxlfiletransferclient.storage.interface.Store`."""
        parts = parsed(request.name)
        node = self._found(parts)
        if node.kind is not Kind.FILE:
            raise _refused(ErrorCode.WRONG_KIND, parts, f"is a {node.kind}")
        if request.version not in (None, node.version):
            raise _refused(ErrorCode.CHANGED, parts, "has changed")
        payload = node.content[request.offset : request.offset + request.length]
        return RetrieveAnswer(
            offset=request.offset,
            size=len(node.content),
            version=node.version,
            payload=payload,
            sha256=node.sha256 if len(payload) == len(node.content) else None,
        )

    def list(self, request: ListRequest) -> ListAnswer:
        """Return a page of what is in a directory."""
        top = parsed(request.name) if request.name else ()
        if top and self._found(top).kind is not Kind.DIRECTORY:
            raise _refused(ErrorCode.WRONG_KIND, top, "is no directory")
        after = parsed(request.after) if request.after else ()
        entries: list[Entry] = []
        room = _PAGE_BYTES
        for parts in sorted(self._below(top)):
            if parts <= after or (len(parts) > len(top) + 1 and not request.recursive):
                continue
            entry = self.entry(parts)
            room -= _length_of(entry)
            if len(entries) == request.limit or (room < 0 and entries):
                return ListAnswer(entries=tuple(entries), next=entries[-1].name)
            entries.append(entry)
        return ListAnswer(entries=tuple(entries))

    def entry(self, parts: Parts) -> Entry:
        """Return what is told of a name.

        Raises:
            RefusedError: ``NOT_FOUND``.
        """
        node = self._found(parts)
        return Entry(
            name="/".join(parts),
            kind=node.kind,
            size=len(node.content),
            modified_ns=node.modified_ns,
            executable=node.executable,
            version=node.version,
            target=node.target,
        )

    def sha256_of(self, parts: Parts) -> str | None:
        """Return the SHA-256 of a file."""
        return self._found(parts).sha256

    def remove(self, request: RemoveRequest) -> RemoveAnswer:
        """Remove a file, link or directory, some of it at a time."""
        parts = parsed(request.name)
        self._found(parts)
        below = sorted(self._below(parts), reverse=True)
        if below and not request.recursive:
            raise _refused(ErrorCode.NOT_EMPTY, parts, "is not empty")
        # In this order everything comes before the directory that it is in.
        doomed = [*below, parts]
        for each in doomed[:REMOVE_STEP]:
            self._used -= len(self._nodes.pop(each).content)
        return RemoveAnswer(removed=len(doomed[:REMOVE_STEP]), more=len(doomed) > REMOVE_STEP)

    def _put_directory(self, parts: Parts, modified_ns: int) -> TransferState:
        self._check_way(parts)
        old = self._nodes.get(parts)
        if old is not None and old.kind is not Kind.DIRECTORY:
            raise _refused(ErrorCode.WRONG_KIND, parts, f"is a {old.kind}")
        self._make_parents(parts, modified_ns)
        self._nodes[parts] = Node(kind=Kind.DIRECTORY, modified_ns=modified_ns)
        return TransferState.STORED

    def _check_link(self, parts: Parts, target: str) -> None:
        if not self._links:
            raise _refused(ErrorCode.NOT_ALLOWED, parts, "is a link, and links are not stored")
        depth = len(parts) - 1
        for part in target.split("/"):
            depth += {"": 0, ".": 0, "..": -1}.get(part, 1)
            if depth < 0 or target.startswith("/"):
                raise _refused(ErrorCode.UNSAFE_NAME, parts, "is a link that leads out")

    def _check_way(self, parts: Parts) -> None:
        for length in range(1, len(parts)):
            node = self._nodes.get(parts[:length])
            if node is not None and node.kind is not Kind.DIRECTORY:
                raise _refused(ErrorCode.WRONG_KIND, parts[:length], f"is a {node.kind}")

    def _make_parents(self, parts: Parts, modified_ns: int) -> None:
        for length in range(1, len(parts)):
            new = Node(kind=Kind.DIRECTORY, modified_ns=modified_ns)
            self._nodes.setdefault(parts[:length], new)

    def _found(self, parts: Parts) -> Node:
        if parts in self._nodes:
            return self._nodes[parts]
        raise _refused(ErrorCode.NOT_FOUND, parts, "does not exist")

    def _below(self, top: Parts) -> Iterator[Parts]:
        return (
            parts for parts in self._nodes if len(parts) > len(top) and parts[: len(top)] == top
        )


def parsed(name: str) -> Parts:
    """Take a name apart.

    Raises:
        RefusedError: ``UNSAFE_NAME``.
    """
    try:
        return parse_name(name, windows=False)
    except UnsafeNameError as error:
        raise RefusedError(ErrorCode.UNSAFE_NAME, str(error)) from error


def _refused(code: ErrorCode, parts: Parts, problem: str) -> RefusedError:
    return RefusedError(code, f"{brief('/'.join(parts))} {problem}")


def _length_of(entry: Entry) -> int:
    texts = json.dumps([entry.name, entry.target], ensure_ascii=False)
    return len(texts.encode()) + _ENTRY_OVERHEAD
