"""Tests that every store has to pass, for pytest.

==============  ====================================================================
``base``        what a store has to provide to be tested
``steps``       the steps that the tests are made of
``transfers``   files under way: open, segments, status, abort
``finishing``   what makes a file whole, overwrite modes, attributes
``recovery``    crashes, restarts, checkpoints, expiry
``batches``     small files, directories and links
``reading``     retrieve, list, stat
``removing``    remove, and limits on bytes
==============  ====================================================================

Example:
    >>> class TestMyStore(StoreConformance):
    ...     def make_store(self, directory, needs):
    ...         return MyStore(directory / "store", links=needs.links)
"""

from dxlfiletransferclient.testing.conformance.base import Needs, StoreTests
from dxlfiletransferclient.testing.conformance.batches import BatchTests
from dxlfiletransferclient.testing.conformance.finishing import FinishingTests
from dxlfiletransferclient.testing.conformance.reading import ReadingTests
from dxlfiletransferclient.testing.conformance.recovery import RecoveryTests
from dxlfiletransferclient.testing.conformance.removing import RemovingTests
from dxlfiletransferclient.testing.conformance.transfers import TransferTests

__all__ = ["Needs", "StoreConformance", "StoreTests"]


class StoreConformance(
    TransferTests, FinishingTests, RecoveryTests, BatchTests, ReadingTests, RemovingTests
):
    """All of them. Derive from it, and say how to make a store."""
