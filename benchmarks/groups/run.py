"""One run of the benchmark: what it measures with, and what it has found."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.links import Link
from benchmarks.peers.tools import PeerError, Tool
from benchmarks.samples import Figure, Row, Sample

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE

PUBLISHED = "0.1.x client"
VERSION_2 = "version 2"

Senders = dict[str, Callable[[], Sample]]
"""Who is measured, and what makes one sample of it."""

TREE_FILE_SIZE = 4096
TREE_DIRECTORY_FILES = 100
"""Files in each directory of the tree."""


@dataclass(slots=True)
class Run:
    """One run of the benchmark.

    Attributes:
        home: Directory for everything.
        links: Networks to measure on.
        rounds: Runs for each row.
        size: Bytes of the file that is sent, in the rows that measure the project by itself.
        large: Bytes of the file that is sent, in the rows that compare with others.
        files: Files in the tree of small ones.
        published: The Python that has the published packages, if there is one.
        tell: Called with what is going on.
        rows: Found so far.
        figures: Found so far.
        notes: What was left out, and why.
    """

    home: Path
    links: list[Link]
    rounds: int
    size: int
    large: int
    files: int
    published: str | None
    tell: Callable[[str], object]
    rows: list[Row] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _places: int = 0

    def place(self, name: str, link: Link) -> Path:
        """Return the directory of a group's servers on a network."""
        return self.home / f"{name}-{link.name}".replace(" ", "-")

    def fresh(self, name: str) -> Path:
        """Return a directory that is not there yet."""
        self._places += 1
        return self.home / f"{name}-{self._places}"

    def source(self, size: int) -> Path:
        """Return a file of random bytes."""
        path = self.home / f"source-{size}"
        if not path.exists():
            with path.open("wb") as file:
                for start in range(0, size, MEBIBYTE):
                    file.write(os.urandom(min(MEBIBYTE, size - start)))
        return path

    def tree(self) -> Path:
        """Return a directory of many small files."""
        root = self.home / "tree"
        if not root.exists():
            for number in range(self.files):
                directory = root / f"{number // TREE_DIRECTORY_FILES:04}"
                directory.mkdir(parents=True, exist_ok=True)
                (directory / f"{number:05}").write_bytes(os.urandom(TREE_FILE_SIZE))
        return root

    def leave_out(self, what: str, why: str) -> None:
        """Note what is not measured."""
        note = f"left out: {what}: {why}"
        if note not in self.notes:
            self.notes.append(note)

    def has(self, tool: Tool) -> bool:
        """Return whether a peer is installed; note what to do if it is not."""
        if tool.missing:
            self.leave_out(tool.name, tool.missing)
        return not tool.missing

    def turns(
        self, what: str, link: Link, senders: Mapping[str, Callable[[], Sample]]
    ) -> dict[str, list[Sample]]:
        """Measure some senders in turns, and add a row for each.

        Taking turns spreads whatever else the machine does over all of them. What one has left to
        be written to disk is written before the next has its turn. A peer that fails is left out.

        Returns:
            The samples of each sender that was measured.
        """
        samples: dict[str, list[Sample]] = {who: [] for who in senders}
        for _ in range(self.rounds):
            for who, measure in senders.items():
                if who not in samples:
                    continue
                self.tell(f"{what}: {who}, {link.name}")
                os.sync()
                try:
                    samples[who].append(measure())
                except PeerError as error:
                    self.leave_out(who, str(error))
                    del samples[who]
        for who, found in samples.items():
            self.rows.append(Row.of(what, who, link.name, found))
        return samples

    def add(self, what: str, who: str, link: Link, samples: Sequence[Sample]) -> None:
        """Add a row of samples that were measured otherwise."""
        self.rows.append(Row.of(what, who, link.name, samples))

    def row(self, what: str, who: str, link: Link) -> Row | None:
        """Return a row, if it was measured."""
        wanted = (what, who, link.name)
        return next((row for row in self.rows if (row.what, row.who, row.link) == wanted), None)

    def compare(self, what: str, who: str, other: str, link: Link, least: float) -> None:
        """Add the ratio of two rows as a figure, if both were measured."""
        row, base = self.row(what, who, link), self.row(what, other, link)
        if row and base:
            text = f"{what}, {link.name}: {who} against {other}"
            self.figures.append(Figure(text, row.median.rate / base.median.rate, least))

    def limit(self, what: str, value: float, bound: float, *, least: bool = False) -> None:
        """Add a figure; the bound is the most that it may be, unless it is the least."""
        self.figures.append(Figure(what, value, bound, least))


def megabytes(source: Path) -> int:
    """Return the size of a file in MiB."""
    return source.stat().st_size // MEBIBYTE


def size_text(size: int) -> str:
    """Return a size as people write it.

    Example:
        >>> size_text(GIBIBYTE), size_text(16 * MEBIBYTE)
        ('1 GiB', '16 MiB')
    """
    if size % GIBIBYTE:
        return f"{size // MEBIBYTE} MiB"
    return f"{size // GIBIBYTE} GiB"
