"""Any sequence of requests, restarts and crashes, against a model that is a few dictionaries."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from dxlfiletransferclient import FileStoreManager, UnknownFileError
from tests.unit.client.fabric import last_request, left_in, request_of

payloads = st.binary(max_size=5)
names = st.sampled_from(["a", "b", "d/a", "d/e/f"])
unsafe_names = st.sampled_from(["../a", "/a", "", "d", ".workdir/a", "d/../.."])


class StoreMachine(RuleBasedStateMachine):
    """Drives a store; the model knows what is under way and what is stored."""

    files = Bundle("files")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="dxlft-test-"))
        self.storage = self.root / "storage"
        (self.storage / "d").mkdir(parents=True)
        self.store = FileStoreManager(self.storage)
        self.crashes = 0
        self.under_way: dict[str, list[bytes]] = {}
        self.unflushed: set[str] = set()
        self.recovered: set[str] = set()
        self.stored: dict[str, bytes] = {}

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.root)

    def ended(self, file: str) -> list[bytes]:
        self.unflushed.discard(file)
        return self.under_way.pop(file)

    @rule(target=files, payload=payloads)
    def begin(self, payload: bytes) -> str:
        result = self.store.store_segment(request_of(payload, segment_number="1"))
        self.under_way[result.file_id] = [payload]
        return result.file_id

    @rule(file=files, payload=payloads)
    def go_on(self, file: str, payload: bytes) -> None:
        segments = self.under_way[file]
        result = self.store.store_segment(
            request_of(payload, segment_number=str(len(segments) + 1), file_id=file)
        )
        segments.append(payload)
        # After a crash, the store may bring a file to the disk as it goes on with it.
        if file in self.recovered:
            self.unflushed.discard(file)
        else:
            self.unflushed.add(file)
        assert result.segments_received == len(segments)

    @rule(file=files, payload=payloads, offset=st.sampled_from([-1, 0, 2, 5]))
    def go_on_out_of_turn(self, file: str, payload: bytes, offset: int) -> None:
        number = len(self.under_way[file]) + offset
        with pytest.raises(ValueError, match="out of turn"):
            self.store.store_segment(request_of(payload, segment_number=str(number), file_id=file))

    @rule(file=consumes(files), payload=payloads, name=names)
    def end(self, file: str, payload: bytes, name: str) -> None:
        segments = [*self.ended(file), payload]
        content = b"".join(segments)
        self.store.store_segment(last_request(name, content, payload, len(segments), file))
        self.stored[name] = content

    @rule(payload=payloads, name=names)
    def begin_and_end(self, payload: bytes, name: str) -> None:
        self.store.store_segment(last_request(name, payload, payload))
        self.stored[name] = payload

    @rule(file=consumes(files), payload=payloads, name=names)
    def end_with_other_content(self, file: str, payload: bytes, name: str) -> None:
        segments = [*self.ended(file), payload]
        content = b"".join(segments) + b"!"
        with pytest.raises(ValueError, match="does not match"):
            self.store.store_segment(last_request(name, content, payload, len(segments), file))

    @rule(file=consumes(files), payload=payloads, name=unsafe_names)
    def end_under_a_name_that_is_not_safe(self, file: str, payload: bytes, name: str) -> None:
        segments = [*self.ended(file), payload]
        content = b"".join(segments)
        with pytest.raises(ValueError, match="name"):
            self.store.store_segment(last_request(name, content, payload, len(segments), file))

    @rule(file=consumes(files))
    def cancel(self, file: str) -> None:
        segments = self.ended(file)
        result = self.store.store_segment(request_of(file_id=file, result="cancel"))
        assert result.segments_received == len(segments)
        with pytest.raises(UnknownFileError):
            self.store.store_segment(request_of(b"", segment_number="1", file_id=file))

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.unflushed.clear()
        self.store = FileStoreManager(self.storage)

    def crash(self, file: str, torn: bytes = b"", lost: int = 0) -> None:
        """Start again with what a crash leaves of a file: torn bytes, or a record too few."""
        self.crashes += 1
        self.recovered.update(self.under_way)
        copy = self.root / str(self.crashes)
        shutil.copytree(self.storage, copy)
        self.store.close()
        self.storage = copy
        path = self.storage / ".workdir" / f"dxlft-{file}"
        with path.with_suffix(".part").open("ab") as part:
            part.write(torn)
        journal = path.with_suffix(".journal")
        content = journal.read_bytes()
        journal.write_bytes(content[: len(content) - lost] + torn)
        self.store = FileStoreManager(self.storage)

    @rule(file=files, torn=st.binary(max_size=7))
    def crash_while_a_segment_is_written(self, file: str, torn: bytes) -> None:
        self.crash(file, torn)

    @precondition(lambda self: self.unflushed)
    @rule(data=st.data(), lost=st.integers(1, 8))
    def crash_that_loses_the_last_record(self, data: st.DataObject, lost: int) -> None:
        file = data.draw(st.sampled_from(sorted(self.unflushed)))
        self.crash(file, lost=lost)
        self.under_way[file].pop()
        self.unflushed.discard(file)

    @rule(file=consumes(files))
    def expire(self, file: str) -> None:
        for path in (self.storage / ".workdir").glob(f"dxlft-{file}.*"):
            os.utime(path, (0, 0))
        assert self.store.expire() == 1
        self.ended(file)
        with pytest.raises(UnknownFileError):
            self.store.store_segment(request_of(file_id=file, result="cancel"))

    @invariant()
    def what_is_stored_is_whole(self) -> None:
        found = {
            path.relative_to(self.storage).as_posix(): path.read_bytes()
            for path in self.storage.rglob("*")
            if path.is_file() and ".workdir" not in path.parts
        }
        assert found == self.stored

    @invariant()
    def what_is_under_way_is_all_that_is_left(self) -> None:
        expected = {
            f"dxlft-{file}.{kind}" for file in self.under_way for kind in ("part", "journal")
        }
        assert left_in(self.storage / ".workdir") == expected


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
