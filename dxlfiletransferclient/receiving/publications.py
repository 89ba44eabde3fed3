"""What is about to get its name on this machine: a received file, a link, a directory."""

import contextlib
import hashlib
import os
import stat
from typing import Protocol

from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.protocol.messages import Entry, Overwrite
from dxlfiletransferclient.receiving.errors import local_errors
from dxlfiletransferclient.receiving.existing import check_replaceable, exists
from dxlfiletransferclient.receiving.part import Part, Place, journal_name, link_name
from dxlfiletransferclient.storage.attributes import Attributes, apply


class Publication(Protocol):
    """Something that is about to get its name. Its methods are called in this order."""

    @property
    def place(self) -> Place:
        """Where it is to appear."""
        ...

    @property
    def descriptor(self) -> int | None:
        """The open file that has to be flushed before; ``None`` if there is none."""
        ...

    def prepare(self) -> None:
        """Do what has to be flushed.

        Raises:
            TargetError: If it cannot be done.
        """
        ...

    def publish(self) -> Result:
        """Give it its name.

        Raises:
            TargetError: If it cannot be done, or an older file is in the way.
        """
        ...

    def clean_up(self, *, published: bool) -> None:
        """Let go of everything; called once, whatever happened before.

        Args:
            published: Whether :meth:`publish` returned.
        """
        ...


class ReadyFile(Publication):
    """A file whose bytes are all there and were found right.

    Args:
        part: The bytes; closed in the end.
        identity: From ``part.part_id``.
        resumable: Whether the bytes stay for a later call if they cannot be given their name.
        sha256: SHA-256 of the file, in hex.
        attributes: What the file is to have.
        runnable: The executable bits that new files may have.
        overwrite: What becomes of an older file.
    """

    def __init__(
        self,
        part: Part,
        identity: str,
        *,
        resumable: bool,
        sha256: str,
        attributes: Attributes,
        runnable: int,
        overwrite: Overwrite,
    ) -> None:
        self._part = part
        self._journal = journal_name(identity)
        self._resumable = resumable
        self._sha256 = sha256
        self._attributes = attributes
        self._runnable = runnable
        self._overwrite = overwrite

    @property
    def place(self) -> Place:
        """Where it is to appear."""
        return self._part.place

    @property
    def descriptor(self) -> int:
        """The part file."""
        return self._part.descriptor

    def prepare(self) -> None:
        """Set the attributes, so that they are flushed with the bytes."""
        with local_errors("set the attributes of", self.place.path):
            apply(
                self.place.parent,
                self._part.name,
                self._part.descriptor,
                self._attributes,
                runnable=self._runnable,
            )

    def publish(self) -> Result:
        """Give it its name; see :meth:`Publication.publish`."""
        with local_errors("write", self.place.path):
            found = _found(self.place)
            if found is not None:
                check_replaceable(found, self.place.path)
                result = self._unless_kept(found)
                if result is not None:
                    self._part.remove()
                    return result
            self._part.rename()
            return Result.STORED

    def _unless_kept(self, found: os.stat_result) -> Result | None:
        """Return what became of the file if the older one stays."""
        modified_ns = self._attributes.modified_ns
        if _is_kept(found, modified_ns, self._overwrite):
            return Result.KEPT
        if self._overwrite is not Overwrite.FAIL:
            return None
        if stat.S_ISREG(found.st_mode) and _sha256_of(self.place) == self._sha256:
            return Result.UNCHANGED
        raise exists(self.place.path)

    def clean_up(self, *, published: bool) -> None:
        """Let go of it; see :meth:`Publication.clean_up`."""
        with local_errors("clean up beside", self.place.path):
            if published or not self._resumable:
                # Where there is none, an earlier version of the file may have left one.
                with contextlib.suppress(FileNotFoundError):
                    self.place.parent.unlink(self._journal)
            if not (published or self._resumable):
                self._part.remove()
        self._part.close()


class ReadyLink(Publication):
    """A symbolic link, as it was checked.

    Args:
        place: Where it is to appear.
        identity: From ``part.part_id``.
        entry: What it is on the service.
        overwrite: What becomes of an older file or link.
    """

    descriptor = None

    def __init__(self, place: Place, identity: str, entry: Entry, overwrite: Overwrite) -> None:
        self._place = place
        self._entry = entry
        self._overwrite = overwrite
        self._temporary = link_name(identity)

    @property
    def place(self) -> Place:
        """Where it is to appear."""
        return self._place

    def prepare(self) -> None:
        """Do nothing: names are flushed with their directories."""

    def publish(self) -> Result:
        """Give it its name; see :meth:`Publication.publish`."""
        place, target = self._place, self._entry.target or ""
        with local_errors("make the link", place.path):
            found = _found(place)
            if found is not None:
                check_replaceable(found, place.path)
                is_link = stat.S_ISLNK(found.st_mode)
                if is_link and place.parent.readlink(place.name) == target:
                    return Result.UNCHANGED
                if _is_kept(found, self._entry.modified_ns, self._overwrite):
                    return Result.KEPT
                if self._overwrite is Overwrite.FAIL:
                    raise exists(place.path)
            with contextlib.suppress(FileNotFoundError):
                place.parent.unlink(self._temporary)
            place.parent.symlink(target, self._temporary)
            place.parent.set_modified(self._temporary, self._entry.modified_ns)
            place.parent.move(self._temporary, place.parent, place.name)
            return Result.STORED

    def clean_up(self, *, published: bool) -> None:
        """Let go of it; see :meth:`Publication.clean_up`."""
        if not published:
            with contextlib.suppress(OSError):
                self._place.parent.unlink(self._temporary)


class ReadyDirectory(Publication):
    """An empty directory, which is there already and has only to be flushed.

    Args:
        place: The directory that it is in, and its name.
        made: Whether it was not there before.
    """

    descriptor = None

    def __init__(self, place: Place, *, made: bool) -> None:
        self._place = place
        self._made = made

    @property
    def place(self) -> Place:
        """Where it is to appear."""
        return self._place

    def prepare(self) -> None:
        """Do nothing: names are flushed with their directories."""

    def publish(self) -> Result:
        """Give it its name; see :meth:`Publication.publish`."""
        return Result.STORED if self._made else Result.UNCHANGED

    def clean_up(self, *, published: bool) -> None:
        """Do nothing: there is nothing to let go of."""


def _is_kept(found: os.stat_result, modified_ns: int | None, overwrite: Overwrite) -> bool:
    if overwrite is Overwrite.NEWER:
        return modified_ns is not None and modified_ns <= found.st_mtime_ns
    return overwrite is Overwrite.KEEP


def _found(place: Place) -> os.stat_result | None:
    try:
        return place.parent.lstat(place.name)
    except FileNotFoundError:
        return None


def _sha256_of(place: Place) -> str:
    with open(place.parent.open_to_read(place.name), "rb") as file:  # noqa: PTH123 - a descriptor
        return hashlib.file_digest(file, "sha256").hexdigest()
