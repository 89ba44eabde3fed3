"""Whole transfers over a bad bus: any sequence of sends, gets, crashes and kills."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dxlfiletransferclient.exchange.cancelling import Cancellation, TransferCancelledError
from dxlfiletransferclient.outcomes import TransferReport
from dxlfiletransferclient.protocol.messages import Kind, Overwrite
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.receiving.receiver import Receiver
from dxlfiletransferclient.sending.sender import Sender
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.storage.local import LocalStore, StoreOptions
from dxlfiletransferclient.storage.working import LOCK_NAME
from dxlfiletransferclient.testing import (
    Faults,
    MemoryBus,
    MemoryStore,
)
from tests.unit.client.transferring import (
    BAD,
    CHECKPOINT,
    GET,
    OPTIONS,
    SEGMENT,
    SEND,
    KilledError,
    begun,
    content_of,
    files_in,
    write_file,
)

names = st.sampled_from(["a", "b", "c d", "d/a", "d/\u00e4", "d/e/f"])
sizes = st.sampled_from([0, 1, 100, SEGMENT - 1, SEGMENT, SEGMENT + 1, 7 * SEGMENT, 31 * SEGMENT])
files = st.dictionaries(names, st.tuples(sizes, st.integers(0, 9)), min_size=3)
moments = st.sampled_from([0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 3.0])
pauses = st.sampled_from([0.1, 0.5, 1.0, 3.0, 7.0, 20.0])

ARRIVED = 2.0
"""Seconds of virtual time after which everything that was on its way has arrived or is lost."""


class TransferMachine(RuleBasedStateMachine):
    """Sends a directory, gets what is stored, and has bad luck."""

    faults: ClassVar[Faults] = BAD

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="dxlft-test-"))
        self.source = self.root / "source"
        self.source.mkdir()
        self.target = self.root / "target"
        self.modified = 1_000_000_000
        self.stored: dict[str, bytes] = {}
        self.interrupted = False

    @initialize(seed=st.integers(0, 2**32), written=files)
    def begin(self, seed: int, written: dict[str, tuple[int, int]]) -> None:
        self.write(written)
        self.bus = MemoryBus(seed=seed, faults=self.faults)
        self.store = self.new_store()
        self.service = self.bus.serve(self.store)

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    def new_store(self) -> Store:
        return MemoryStore(OPTIONS)

    def store_after_crash(self) -> Store:
        assert isinstance(self.store, MemoryStore)
        return self.store.crashed()

    def stored_files(self) -> dict[str, bytes]:
        assert isinstance(self.store, MemoryStore)
        return self.store.stored

    def files_under_way(self) -> int:
        assert isinstance(self.store, MemoryStore)
        return len(self.store.under_way)

    # What the user does.

    @rule(written=files)
    def write_some(self, written: dict[str, tuple[int, int]]) -> None:
        self.write(written)

    @rule(name=names)
    def delete(self, name: str) -> None:
        (self.source / name).unlink(missing_ok=True)

    @rule(overwrite=st.sampled_from([Overwrite.REPLACE, Overwrite.NEWER, Overwrite.KEEP]))
    def send_all(self, overwrite: Overwrite) -> None:
        self.send(overwrite).raise_for_failure()
        self.check_sent(overwrite)

    @rule(after=moments, back_after=pauses)
    def send_while_the_service_crashes(self, after: float, back_after: float) -> None:
        self.bus.at(self.bus.now() + after, self.crash)
        self.bus.at(self.bus.now() + after + back_after, self.restart)
        self.send().raise_for_failure()
        self.check_sent()
        self.bus.run(after + back_after + 1)

    @rule(after=moments, seconds=pauses)
    def send_while_the_connection_is_lost(self, after: float, seconds: float) -> None:
        self.bus.at(self.bus.now() + after, lambda: self.bus.cut(seconds))
        self.send().raise_for_failure()
        self.check_sent()

    @rule(after=moments)
    def send_and_kill_the_sender(self, after: float) -> None:
        before = dict(self.stored)
        self.killed_after(after, self.send)
        self.check_partly_sent(before)

    @rule(after=moments)
    def send_and_cancel(self, after: float) -> None:
        before = dict(self.stored)
        cancel = Cancellation()
        self.bus.at(self.bus.now() + after, cancel.cancel)
        with suppress(TransferCancelledError):
            self.send(cancel=cancel)
        self.bus.run(after + ARRIVED)
        self.check_partly_sent(before)

    @rule()
    def get_all(self) -> None:
        self.get().raise_for_failure()
        self.check_got()

    @rule(after=moments, back_after=pauses)
    def get_while_the_service_crashes(self, after: float, back_after: float) -> None:
        self.bus.at(self.bus.now() + after, self.crash)
        self.bus.at(self.bus.now() + after + back_after, self.restart)
        self.get().raise_for_failure()
        self.check_got()
        self.bus.run(after + back_after + 1)

    @rule(after=moments)
    def kill_the_receiver_and_get_again(self, after: float) -> None:
        self.killed_after(after, self.get)
        self.get().raise_for_failure()
        self.check_got()

    @rule()
    def get_into_a_new_directory(self) -> None:
        shutil.rmtree(self.target, ignore_errors=True)

    @rule(name=names)
    def remove(self, name: str) -> None:
        if name in self.stored:
            assert begun(self.bus, lambda: Receiver(self.bus, options=GET).remove(name)) == 1
            del self.stored[name]
            return
        with pytest.raises(RefusedError) as caught:
            begun(self.bus, lambda: Receiver(self.bus, options=GET).remove(name))
        assert caught.value.means(ErrorCode.NOT_FOUND)

    @invariant()
    def nothing_but_whole_files_is_stored(self) -> None:
        assert self.stored_files() == self.stored

    @invariant()
    def no_file_stays_under_way(self) -> None:
        if not self.interrupted:
            assert self.files_under_way() == 0

    @rule()
    def look_what_is_stored(self) -> None:
        found = begun(self.bus, lambda: list(Receiver(self.bus, options=GET).list(recursive=True)))
        sizes = {entry.name: entry.size for entry in found if entry.kind is Kind.FILE}
        assert sizes == {name: len(content) for name, content in self.stored.items()}

    # How it is done.

    def write(self, written: dict[str, tuple[int, int]]) -> None:
        self.modified += 1
        for name, (size, letter) in written.items():
            write_file(self.source / name, content_of(size, letter), self.modified)

    def send(
        self, overwrite: Overwrite = Overwrite.REPLACE, *, cancel: Cancellation | None = None
    ) -> TransferReport:
        options = replace(SEND, overwrite=overwrite)
        sender = Sender(self.bus, options=options, cancel=cancel)
        return begun(self.bus, lambda: sender.send(f"{self.source}/."))

    def get(self) -> TransferReport:
        receiver = Receiver(self.bus, options=GET)
        return begun(self.bus, lambda: receiver.get("", self.target))

    def killed_after(self, seconds: float, call: Callable[[], object]) -> None:
        alive = True

        def kill() -> None:
            if alive:
                raise KilledError

        self.bus.at(self.bus.now() + seconds, kill)
        with suppress(KilledError):
            call()
        alive = False
        self.bus.abandon()
        # What was on its way arrives before anything else is done.
        self.bus.run(ARRIVED)

    def crash(self) -> None:
        self.service.crash()

    def restart(self) -> None:
        self.store = self.store_after_crash()
        self.service.restart(self.store)

    # What has to come of it.

    def check_sent(self, overwrite: Overwrite = Overwrite.REPLACE) -> None:
        local = files_in(self.source)
        if overwrite is Overwrite.KEEP:
            self.stored = {**local, **self.stored}
        else:
            # Here whatever was changed is newer than all that was stored before.
            self.stored = {**self.stored, **local}
        assert self.stored_files() == self.stored

    def check_partly_sent(self, before: dict[str, bytes]) -> None:
        self.interrupted = True
        local = files_in(self.source)
        found = self.stored_files()
        assert before.keys() <= found.keys() <= before.keys() | local.keys()
        for name, content in found.items():
            assert content in (before.get(name), local.get(name))
        self.stored = found

    def check_got(self) -> None:
        found = files_in(self.target) if self.target.exists() else {}
        assert not [name for name in found if "dxlft" in name]
        assert {name: found.get(name) for name in self.stored} == self.stored


class LocalTransferMachine(TransferMachine):
    """The same with a store on disk."""

    def new_store(self) -> Store:
        options = StoreOptions(segment_size=SEGMENT, checkpoint_bytes=CHECKPOINT)
        return LocalStore(self.root / "storage", options=options)

    def store_after_crash(self) -> Store:
        # A process that is killed leaves everything as it is, and its lock goes with it.
        (self.root / "storage" / ".workdir" / LOCK_NAME).unlink()
        return self.new_store()

    def stored_files(self) -> dict[str, bytes]:
        found = files_in(self.root / "storage")
        return {name: each for name, each in found.items() if not name.startswith(".workdir/")}

    def files_under_way(self) -> int:
        return len(list((self.root / "storage" / ".workdir").glob("*.part")))


class QuietTransferMachine(TransferMachine):
    """The same with nothing but crashes and kills."""

    faults: ClassVar[Faults] = Faults()


SLOW = [HealthCheck.too_slow]
TestTransfers = TransferMachine.TestCase
TestTransfers.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=SLOW
)
TestLocalTransfers = LocalTransferMachine.TestCase
TestLocalTransfers.settings = settings(
    max_examples=15, stateful_step_count=12, deadline=None, suppress_health_check=SLOW
)
TestQuietTransfers = QuietTransferMachine.TestCase
TestQuietTransfers.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=SLOW
)
