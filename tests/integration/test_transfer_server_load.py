"""Transfer servers with much to do: lanes and rates, a thousand transfers, large files."""

import os
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import psutil
import pytest

from jetstream.structures import Destination, Transfer
from tests.integration.transferscene import TransferScene
from tests.integration.transferstage import KIBIBYTE, MEBIBYTE, StagedServer, TransferStage
from tests.waiting import TIMEOUT, wait_until

Report = Callable[[str], None]

pytestmark = pytest.mark.slow

LANES: Final = {"High": 70.0, "Normal": 25.0, "Low": 5.0, "Idle": 0.0}
"""Percent of a destination's rate that its lanes get."""

TOLERANCE: Final = 5.0
"""Percentage points by which they may be off."""

FAST: Final = 4.0
"""Megabytes per second of a destination at first."""

SLOW: Final = 1.0
"""Megabytes per second after its rate was lowered."""

BUSY_SECONDS: Final = 5.0
"""Seconds over which shares are measured."""

RATE_SECONDS: Final = 2.0
"""Seconds over which a rate is measured: many times what separates two looks at the counters."""

LATE_SECONDS: Final = 1.0
"""Seconds in which a change of a rate has to show."""

MEGABYTE: Final = 1_000_000
US: Final = 1_000_000

TRANSFERS: Final = 1000
"""Transfers at once to one destination."""

FILES_EACH: Final = 100
"""Small files in each of them."""

CREATORS: Final = 3
"""Threads that make them."""

LOAD_SECONDS: Final = 240.0
"""Seconds after which they have ended, on a slow and busy machine."""

USUAL_CALL: Final = 0.25
"""Seconds that half of the calls take at most while they are under way; they should take 0.02."""

MOST_GROWTH: Final = 100 * MEBIBYTE
"""Bytes by which the memory of a server may grow, however much it has to do."""

_LOOK: Final = 0.1
"""Seconds between two calls while a thousand transfers are under way."""

LARGE: Final = 300 * MEBIBYTE
"""Bytes of a file that would be noticed in memory."""


@pytest.fixture
def scene(module_stage: TransferStage, transfer_server: StagedServer) -> Iterator[TransferScene]:
    """Somebody who has logged on, and whose transfers do not outlive the test."""
    made = TransferScene(module_stage, transfer_server)
    yield made
    made.fail_all()


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """A directory at the receiver that no other test uses."""
    name: str = request.node.name
    return name


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Report:
    """Write a line with figures that is seen whether the test fails or not."""

    def write(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}")

    return write


def test_lanes_share_the_rate_of_a_destination_which_may_change(
    scene: TransferScene, place: str, report: Report
) -> None:
    destination = scene.destination(scene.sender, megabytes=FAST)
    source = scene.source(0)
    os.truncate(source, 128 * MEBIBYTE)
    manifest = scene.manifest({"file": source})
    transfers = [
        scene.send(destination, manifest, f"{place}/{lane}", priorityLane=lane) for lane in LANES
    ]
    for each in transfers:
        if each["priorityLane"] != "Idle":
            scene.until_acked(each, 1)

    rates = _rates(scene, destination, BUSY_SECONDS)
    total = sum(rates.values())
    shares = {lane: 100 * rate / total for lane, rate in rates.items()}
    report(f"shares of the lanes in percent: {_shown(shares, 1)}")
    for lane, share in LANES.items():
        assert shares[lane] == pytest.approx(share, abs=TOLERANCE), lane
    assert rates["Idle"] == 0
    assert total <= 1.25 * FAST

    for megabytes in (SLOW, FAST):
        scene.set_rate(destination, megabytes)
        _pass(scene, destination, LATE_SECONDS)
        total = sum(_rates(scene, destination, RATE_SECONDS).values())
        report(f"a second after the rate is {megabytes} MB/s it is measured as {total:.2f} MB/s")
        assert 0.6 * megabytes <= total <= 1.4 * megabytes

    limited = next(each for each in transfers if each["priorityLane"] == "High")
    request = scene.api.send.setTransferSendRateMaxAsync(limited, 0.25 * 8000)
    scene.api.server.getRequestResult(request)
    _pass(scene, destination, LATE_SECONDS)
    rates = _rates(scene, destination, RATE_SECONDS)
    report(f"MB/s of the lanes, with High limited to 0.25: {_shown(rates, 2)}")
    assert rates["High"] <= 0.4
    # What it leaves goes to the others.
    assert rates["Normal"] >= 0.5 * FAST


@pytest.mark.timeout(2 * LOAD_SECONDS)
def test_a_thousand_transfers_all_end_well_and_calls_are_answered(
    scene: TransferScene, place: str, report: Report
) -> None:
    manifest = scene.manifest({"files": scene.sources(FILES_EACH, 4 * KIBIBYTE)})
    destination = scene.destination(scene.sender)
    memory = _Memory(scene.sender)
    with _calling(scene.sender, destination) as seconds:
        deadline = time.monotonic() + LOAD_SECONDS
        _create(scene, destination["destinationId"], manifest["manifestId"], place)
        tick = threading.Event()
        while scene.api.send.getDestination(destination)["numTransfersQueued"]:
            assert time.monotonic() < deadline
            memory.look()
            tick.wait(_LOOK)
    took = sorted(seconds)
    report(
        f"{len(took)} calls took {statistics.median(took) * 1000:.1f} ms in the median and "
        f"{took[-1] * 1000:.0f} ms at most; memory grew by {memory.growth / MEBIBYTE:.0f} MiB"
    )
    found = scene.api.send.getTransfers(destination)
    assert len(found) == TRANSFERS
    assert Counter((each["status"], each["errorMessage"]) for each in found) == {
        ("complete", ""): TRANSFERS
    }
    assert {(each["filesSent"], each["filesFailed"]) for each in found} == {(FILES_EACH, 0)}
    stored = [path for path in (scene.sender.storage / place).rglob("*") if path.is_file()]
    assert len(stored) == TRANSFERS * FILES_EACH
    assert {path.stat().st_size for path in stored} == {4 * KIBIBYTE}
    assert statistics.median(took) < USUAL_CALL
    assert memory.growth < MOST_GROWTH


def test_memory_does_not_grow_with_what_is_sent(
    scene: TransferScene, place: str, report: Report
) -> None:
    source = scene.source(0)
    os.truncate(source, LARGE)
    manifest = scene.manifest({"file": source})
    destination = scene.destination(scene.sender)
    memory = _Memory(scene.sender)
    transfers = [scene.send(destination, manifest, f"{place}/{number}") for number in range(2)]
    for each in transfers:
        while scene.now(each)["processing"]:
            memory.look()
        scene.completed(each)
    report(f"memory grew by {memory.growth / MEBIBYTE:.0f} MiB")
    assert memory.growth < MOST_GROWTH
    for number in range(2):
        (scene.sender.storage / place / f"{number}/file").unlink()


class _Memory:
    """By how much the memory of a server has grown.

    Args:
        server: The server.
    """

    def __init__(self, server: StagedServer) -> None:
        pids = (server.process.process.pid, server.brokers[-1])
        self._processes = [psutil.Process(pid) for pid in pids]
        self._before = [each.memory_info().rss for each in self._processes]
        self._most = list(self._before)

    def look(self) -> None:
        """Note how much it is now."""
        now = [each.memory_info().rss for each in self._processes]
        self._most = [max(pair) for pair in zip(self._most, now, strict=True)]

    @property
    def growth(self) -> int:
        """Bytes by which it has grown: the server or its broker, whichever is more."""
        return max(most - old for most, old in zip(self._most, self._before, strict=True))


def _create(scene: TransferScene, destination: str, manifest: str, place: str) -> None:
    """Make all the transfers, in several threads."""

    def make(numbers: range) -> None:
        send = scene.sender.logged_on().send
        for number in numbers:
            send.createTransfer(destination, manifest, f"{place}/{number}")

    with ThreadPoolExecutor(CREATORS) as pool:
        parts = [range(first, TRANSFERS, CREATORS) for first in range(CREATORS)]
        made: list[Future[None]] = [pool.submit(make, each) for each in parts]
        for each in made:
            each.result(LOAD_SECONDS)


@contextmanager
def _calling(server: StagedServer, destination: Destination) -> Iterator[list[float]]:
    """Ask for transfers all the time; gives the seconds that each call has taken."""
    send = server.logged_on().send
    seconds: list[float] = []
    over = threading.Event()

    def call() -> None:
        last: list[Transfer] = []
        while not over.wait(_LOOK):
            began = time.monotonic()
            if last:
                send.getTransfer(last[0])
            else:
                last = send.getTransfers(destination, limit=1)
            seconds.append(time.monotonic() - began)

    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(call)
        try:
            yield seconds
        finally:
            over.set()
        calling.result(TIMEOUT)


def _shown(figures: Mapping[str, float], digits: int) -> str:
    return ", ".join(f"{lane} {each:.{digits}f}" for lane, each in figures.items())


def _sample(scene: TransferScene, destination: Destination) -> tuple[int, Mapping[str, int]]:
    """Return a time in microseconds, and the bytes that each lane has sent by then."""
    found = scene.api.send.getTransfers(destination)
    times = [each["snapshotTime"] for each in found if each["snapshotTime"] is not None]
    return max(times), {each["priorityLane"]: each["bytesSent"] for each in found}


def _pass(scene: TransferScene, destination: Destination, seconds: float) -> None:
    """Wait until so much time has passed at the server."""
    until = _sample(scene, destination)[0] + seconds * US
    wait_until(lambda: _sample(scene, destination)[0] >= until)


def _rates(scene: TransferScene, destination: Destination, seconds: float) -> dict[str, float]:
    """Measure for so many seconds how many megabytes each lane sends per second."""
    began, before = _sample(scene, destination)
    _pass(scene, destination, seconds)
    ended, after = _sample(scene, destination)
    passed = (ended - began) / US
    return {lane: (after[lane] - before[lane]) / MEGABYTE / passed for lane in before}
