"""What a store has to provide to be tested."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dxlfiletransferclient.storage.interface import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """How a test needs its store to be configured.

    Attributes:
        links: Whether it stores symbolic links.
        file_bytes: Limit on the bytes of one file; ``None`` for no limit.
        total_bytes: Limit on the bytes of all files, those under way included.
    """

    links: bool = False
    file_bytes: int | None = None
    total_bytes: int | None = None


class StoreTests:
    """Base of the tests; one object is made for each test."""

    def make_store(self, directory: Path, needs: Needs) -> Store:
        """Make an empty store. To be overridden.

        Args:
            directory: An empty directory of the test.
            needs: How it is to be configured.
        """
        raise NotImplementedError("a class of tests has to say how its store is made")

    def reopen(self, store: Store) -> Store | None:
        """Open a store again that was closed, as a restarted service does.

        May be overridden; ``None`` leaves out the tests of it.
        """
        del store
        return None

    def crash(self, store: Store) -> Store | None:
        """Return a store with what is left when the machine of the store crashes at this moment.

        May be overridden; ``None`` leaves out the tests of it. The store itself is not asked again.
        """
        del store
        return None

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """Make a store without limits and links."""
        store = self.make_store(tmp_path, Needs())
        yield store
        store.close()

    @pytest.fixture
    def linking(self, tmp_path: Path) -> Iterator[Store]:
        """Make a store that takes symbolic links."""
        store = self.make_store(tmp_path, Needs(links=True))
        yield store
        store.close()

    @pytest.fixture
    def limited(self, tmp_path: Path) -> Iterator[Store]:
        """Make a store that takes 1000 bytes in one file, and 1500 in all."""
        store = self.make_store(tmp_path, Needs(file_bytes=1000, total_bytes=1500))
        yield store
        store.close()
