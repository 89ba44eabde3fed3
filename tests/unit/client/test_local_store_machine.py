"""Any sequence of requests, restarts and crashes of the machine, against a model in memory."""

import hashlib
import random
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

from dxlfiletransferclient.intervals import IntervalSet
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    FinishRequest,
    OpenRequest,
    SegmentRequest,
    StatusRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.local import LocalStore, StoreOptions
from tests.unit.client.crashing import Disk
from tests.unit.client.fabric import sha256

LENGTH = 60
OPTIONS = StoreOptions(checkpoint_bytes=16, checkpoint_seconds=5)


def content_of(file_id: str) -> bytes:
    """Return the content of a file: bytes that tell their place, and none of them 0."""
    return bytes(1 + each % 255 for each in hashlib.sha512(file_id.encode()).digest()[:LENGTH])


class StoreMachine(RuleBasedStateMachine):
    """Drives a store; the model knows what it promised."""

    files = Bundle("files")

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.disk = Disk(self.patch)
        self.root = Path(tempfile.mkdtemp(prefix="dxlft-test-"))
        self.now = 1000.0
        self.count = 0
        self.crashes = 0
        self.storage = self.root / "0"
        self.store = self.opened()
        self.held: dict[str, IntervalSet] = {}
        self.durable: dict[str, IntervalSet] = {}
        self.stored: dict[str, bytes] = {}

    def opened(self) -> LocalStore:
        return LocalStore(self.storage, options=OPTIONS, clock=lambda: self.now)

    def teardown(self) -> None:
        self.store.close()
        self.patch.undo()
        shutil.rmtree(self.root)

    def open_request(self, file: str) -> OpenRequest:
        size = LENGTH if file.endswith("sized") else None
        return OpenRequest(file_id=file, name=f"d/{file}", size=size, modified_ns=5 * 10**17)

    def note(self, file: str, answer: TransferAnswer) -> TransferAnswer:
        """Check an answer against what was promised before."""
        held, durable = IntervalSet(answer.held), IntervalSet(answer.durable)
        assert all(held.covers(*each) for each in answer.durable)
        assert all(held.covers(*each) for each in self.held[file]), "nothing is lost by itself"
        assert all(durable.covers(*each) for each in self.durable[file])
        self.held[file], self.durable[file] = held, durable
        return answer

    @rule(target=files, sized=st.booleans())
    def open(self, sized: bool) -> str:
        self.count += 1
        file = f"{self.count}-{'sized' if sized else 'stream'}"
        answer = self.store.open(self.open_request(file))
        assert (answer.state, answer.held) == (TransferState.RECEIVING, ())
        self.disk.begun(self.storage, file)
        self.held[file], self.durable[file] = IntervalSet(), IntervalSet()
        return file

    @rule(file=files)
    def open_again(self, file: str) -> None:
        self.note(file, self.store.open(self.open_request(file)))

    @rule(file=files, start=st.integers(0, LENGTH - 1), length=st.integers(1, 25))
    def write(self, file: str, start: int, length: int) -> None:
        payload = content_of(file)[start : start + length]
        answer = self.note(
            file, self.store.write(SegmentRequest(file_id=file, offset=start, payload=payload))
        )
        assert IntervalSet(answer.held).covers(start, start + len(payload))

    @rule(file=files, at=st.integers(0, LENGTH - 1))
    def write_other_bytes(self, file: str, at: int) -> None:
        if not self.held[file].covers(at, at + 1):
            return
        with pytest.raises(RefusedError, match="other bytes"):
            self.store.write(SegmentRequest(file_id=file, offset=at, payload=b"\0"))

    @rule(file=files)
    def flush(self, file: str) -> None:
        answer = self.note(file, self.store.status(StatusRequest(file_id=file, flush=True)))
        assert answer.durable == answer.held

    @rule(seconds=st.sampled_from([0.5, 3.0, 7.0]))
    def maintain(self, seconds: float) -> None:
        self.now += seconds
        self.store.maintain(self.now)

    @rule(file=files)
    def finish_too_early(self, file: str) -> None:
        if self.held[file].covers(0, LENGTH):
            return
        answer = self.store.finish(self.finish_request(file))
        assert answer.state is TransferState.RECEIVING

    @rule(file=consumes(files), order=st.randoms(use_true_random=False))
    def finish(self, file: str, order: random.Random) -> None:
        gaps = [
            (at, at + 1)
            for low, high in self.held[file].missing(0, LENGTH)
            for at in range(low, high)
        ]
        order.shuffle(gaps)
        for low, high in gaps:
            self.store.write(
                SegmentRequest(file_id=file, offset=low, payload=content_of(file)[low:high])
            )
        for _ in range(2):
            answer = self.store.finish(self.finish_request(file))
            assert answer.state is TransferState.STORED
            assert answer.held == answer.durable == ((0, LENGTH),)
            assert answer.sha256 == sha256(content_of(file))
        assert self.store.open(self.open_request(file)).state is TransferState.STORED
        self.stored[file] = content_of(file)
        del self.held[file], self.durable[file]

    @rule(file=consumes(files))
    def abort(self, file: str) -> None:
        for _ in range(2):
            self.store.abort(AbortRequest(file_id=file))
        with pytest.raises(RefusedError) as raised:
            self.store.status(StatusRequest(file_id=file))
        assert raised.value.means(ErrorCode.UNKNOWN_TRANSFER)
        del self.held[file], self.durable[file]

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = self.opened()
        for file in self.held:
            answer = self.store.status(StatusRequest(file_id=file))
            assert answer.held == answer.durable == self.held[file].ranges
            self.durable[file] = self.held[file].copy()

    @precondition(lambda self: self.held)
    @rule(seed=st.integers(0, 2**32 - 1))
    def crash(self, seed: int) -> None:
        self.crashes += 1
        copy = self.root / str(self.crashes)
        self.disk.crash(self.storage, copy, random.Random(seed))
        self.store.close()
        self.storage = copy
        self.store = self.opened()
        for file in self.held:
            answer = self.store.open(self.open_request(file))
            held = IntervalSet(answer.held)
            assert all(held.covers(*each) for each in self.durable[file]), "that was promised"
            part = (copy / ".workdir" / f"dxlft-{file}.part").read_bytes()
            for low, high in held:
                assert part[low:high] == content_of(file)[low:high]
            self.held[file], self.durable[file] = held, IntervalSet(answer.durable)

    def finish_request(self, file: str) -> FinishRequest:
        return FinishRequest(file_id=file, size=LENGTH, sha256=sha256(content_of(file)))

    @invariant()
    def what_is_stored_is_whole(self) -> None:
        found = {
            path.name: path.read_bytes()
            for path in self.storage.rglob("*")
            if path.is_file() and ".workdir" not in path.parts
        }
        assert found == self.stored


TestLocalStore = StoreMachine.TestCase
TestLocalStore.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
