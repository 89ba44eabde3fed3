"""Every store of this package passes the same tests."""

from collections import Counter
from pathlib import Path

from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.storage.local import LocalStore, StoreOptions
from dxlfiletransferclient.storage.quotas import QuotaLimits
from dxlfiletransferclient.storage.working import LOCK_NAME
from dxlfiletransferclient.testing import MemoryStore, MemoryStoreOptions
from dxlfiletransferclient.testing.conformance import Needs, StoreConformance


class TestMemoryStore(StoreConformance):
    slow_answers = 0

    def make_store(self, directory: Path, needs: Needs) -> Store:
        options = MemoryStoreOptions(
            links=needs.links,
            file_bytes=needs.file_bytes,
            total_bytes=needs.total_bytes,
            slow_answers=self.slow_answers,
        )
        return MemoryStore(options)

    def reopen(self, store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        return store.crashed()

    def crash(self, store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        return store.crashed()


class TestSlowMemoryStore(TestMemoryStore):
    slow_answers = 3


class TestLocalStore(StoreConformance):
    def make_store(self, directory: Path, needs: Needs) -> Store:
        quota = QuotaLimits(total_bytes=needs.total_bytes, file_bytes=needs.file_bytes)
        self.directory = directory / "storage"
        self.options = StoreOptions(links=needs.links, quota=quota)
        return LocalStore(self.directory, options=self.options)

    def reopen(self, store: Store) -> Store:
        return LocalStore(self.directory, options=self.options)

    def crash(self, store: Store) -> Store:
        """Leave everything as it is, as a process that is killed does; the lock goes with it."""
        (self.directory / ".workdir" / LOCK_NAME).unlink()
        return LocalStore(self.directory, options=self.options)


def test_no_test_hides_another_one() -> None:
    names = Counter(
        name for kind in StoreConformance.__mro__ for name in vars(kind) if name.startswith("test_")
    )
    assert len(names) > 90
    assert set(names.values()) == {1}
