"""The smaller parts of couriers: position, contents, records, watching, turns."""

import hashlib
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferclient.errors import NoAnswerError, NotConnectedError, SourceChangedError
from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.testing import MemoryBus, MemoryStore
from dxlfiletransferservice.courier.contents import ZeroContent
from dxlfiletransferservice.courier.failures import StoppedError, fatal, interrupts
from dxlfiletransferservice.courier.pacedjob import PacedJob, Tally
from dxlfiletransferservice.courier.position import MAX_TEXT, MOST_AHEAD, Position
from dxlfiletransferservice.courier.records import Records
from dxlfiletransferservice.courier.scheduler import Scheduler
from dxlfiletransferservice.courier.seams import ManifestFile, Progress, Status
from dxlfiletransferservice.courier.sources import described
from dxlfiletransferservice.courier.turns import Turns
from dxlfiletransferservice.courier.watching import Touch, WatchedBus
from tests.unit.service.fakework import FakeWork


def file_of(number: int, size: int = 10) -> ManifestFile:
    return ManifestFile(number, f"/here/{number}", f"there/{number}", size, False, False, None)


@given(
    order=st.permutations(range(20)),
    failing=st.sets(st.integers(0, 19)),
    stop=st.integers(0, 20),
)
def test_what_is_told_fits_whoever_goes_on_there(
    order: list[int], failing: set[int], stop: int
) -> None:
    position = Position(Progress())
    through: set[int] = set()
    for number in order[:stop]:
        if number in failing:
            position.failed(file_of(number, number), f"failure {number}")
        else:
            position.stored(file_of(number, number))
        through.add(number)
    gapless = next(number for number in range(21) if number not in through)
    assert position.first == gapless == position.files_sent + position.files_failed
    assert position.files_failed == len(failing & set(range(gapless)))
    assert position.bytes_through == sum(set(range(gapless)) - failing)
    assert position.bytes_acked == sum(through - failing)
    first = next((number for number in order[:stop] if number in failing), None)
    assert position.first_failure == ("" if first is None else f"failure {first}")


def test_a_position_is_gone_on_with() -> None:
    progress = Progress(position=3, files_sent=2, files_failed=1, bytes_through=20)
    position = Position(replace(progress, first_failure="that"))
    position.stored(file_of(3))
    position.failed(file_of(4), "x" * 1000)
    assert (position.first, position.files_sent, position.files_failed) == (5, 3, 2)
    assert position.first_failure == "that"
    assert position.bytes_acked == 30
    assert position.reachable(5 + MOST_AHEAD)
    assert not position.reachable(6 + MOST_AHEAD)
    other = Position(Progress())
    other.failed(file_of(0), "x" * 1000)
    assert len(other.first_failure) == MAX_TEXT


@pytest.mark.parametrize("size", [0, 1, 1000, 20_000_000])
def test_zeros_are_hashed_in_whatever_order_they_are_read(size: int) -> None:
    content = ZeroContent(size)
    assert (content.size, content.available, content.full, content.pressed) == (
        size,
        size,
        False,
        False,
    )
    assert content.extend(size + 5) == size
    half = size // 2
    assert content.read(half, size) == bytes(size - half)
    while not content.hash_up_to(half):
        pass
    assert content.read(half, size) == bytes(size - half)
    while not content.hash_up_to(size):
        pass
    expected = hashlib.sha256(bytes(size)).hexdigest()
    assert content.finish() == expected
    assert content.restart()
    content.release(size)
    content.read(0, size)
    assert content.finish() == expected
    content.close()


def test_files_are_called_by_their_names_at_the_destination() -> None:
    file = file_of(1)
    assert described(file, OSError(2, "No such file", file.src)) == "'there/1': No such file"
    assert described(file, SourceChangedError(f"{file.src} was written to")) == (
        "there/1 was written to"
    )
    assert described(file, CommandError("must not be read")) == "'there/1': must not be read"
    assert described(file, ValueError()) == "'there/1': ValueError"


def test_errors_are_of_files_transfers_or_the_connection() -> None:
    exists = RefusedError(ErrorCode.EXISTS, "there")
    full = RefusedError(ErrorCode.STORAGE_FULL, "full")
    assert not fatal(exists, admitted=True)
    assert fatal(exists, admitted=False)
    assert fatal(full, admitted=True)
    assert not fatal(OSError("gone"), admitted=False)
    assert interrupts(NoAnswerError("silence"))
    assert interrupts(NotConnectedError("no line"))
    assert interrupts(KeyboardInterrupt())
    assert not interrupts(exists)
    assert not interrupts(StoppedError("stopped"))


# Records


@pytest.fixture
def work() -> FakeWork:
    found = FakeWork()
    found.add_destination()
    found.add_manifest(1, [])
    for number in (1, 2, 3):
        found.add_transfer(number, 1)
    return found


def test_only_what_has_changed_is_written_and_all_at_once(work: FakeWork) -> None:
    records = Records(work)
    records.put({1: Progress(bytes_sent=1), 2: Progress(bytes_sent=2)})
    records.flush()
    records.flush()
    records.put({1: Progress(bytes_sent=1), 2: Progress(bytes_sent=3)})
    records.flush()
    assert work.writes == [
        {1: Progress(bytes_sent=1), 2: Progress(bytes_sent=2)},
        {2: Progress(bytes_sent=3)},
    ]
    assert records.get(1) == Progress(bytes_sent=1)
    assert records.get(3) is None


def test_what_was_known_before_never_overtakes_the_end(work: FakeWork) -> None:
    records = Records(work)
    records.put({1: Progress(bytes_sent=1), 2: Progress(bytes_sent=1)})
    records.ended(1, Status.COMPLETE, "", Progress(bytes_sent=5))
    records.dropped(2, Progress(bytes_sent=6))
    records.flush()
    assert work.status(1) is Status.COMPLETE
    assert work.progress(1).bytes_sent == 5
    assert work.progress(2).bytes_sent == 6
    assert records.get(1) is records.get(2) is None


def test_whoever_asks_does_not_wait_for_the_database(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records(work)
    writing, go_on = threading.Event(), threading.Event()

    def slow(_progress: object) -> None:
        writing.set()
        assert go_on.wait(30)

    monkeypatch.setattr(work, "progressed", slow)
    records.put({1: Progress(bytes_sent=1)})
    thread = threading.Thread(target=records.flush)
    thread.start()
    assert writing.wait(30)
    records.put({1: Progress(bytes_sent=2)})
    assert records.get(1) == Progress(bytes_sent=2)
    go_on.set()
    thread.join()


# Watching


def figures(touch: Touch) -> tuple[float | None, float | None, float | None]:
    return touch.sent, touch.heard, touch.lost_since


def test_only_services_count_as_answering() -> None:
    bus = MemoryBus()
    touch = Touch()
    awaited: list[str | None] = [None]
    watched = WatchedBus(bus, touch, lambda: awaited[0], ["/nobody/v2/hello"])
    assert figures(touch) == (None, None, None)
    token = watched.ask("/nobody/v2/hello", Parcel({}))
    assert [reply.token for reply in watched.wait(1.0)] == [token]
    assert figures(touch) == (0.0, None, 0.0)
    service = bus.serve(MemoryStore())
    topic = min(service.topics)
    for no_such in (None, "{another}"):
        awaited[0] = no_such
        sent = bus.now()
        watched.ask(topic, Parcel({}))
        watched.wait(bus.now() + 1.0)
        assert figures(touch) == (sent, None, 0.0)
    awaited[0] = service.service_id
    sent = bus.now()
    watched.ask(topic, Parcel({}))
    watched.wait(bus.now() + 1.0)
    assert figures(touch) == (sent, bus.now(), None)
    service.hang()
    heard, sent = bus.now(), bus.now()
    forgotten = watched.ask(topic, Parcel({}))
    watched.forget(forgotten)
    watched.wait(bus.now() + 1)
    assert figures(touch) == (sent, heard, sent)
    watched.wake()


def test_a_lost_connection_is_noticed() -> None:
    bus = MemoryBus()
    touch = Touch()
    watched = WatchedBus(bus, touch, lambda: None, ())
    connected = [watched.connected]
    bus.run(1.0)
    bus.cut(5.0)
    connected.append(watched.connected)
    assert connected == [True, False]
    assert figures(touch) == (None, None, 1.0)
    bus.run(1.0)
    with pytest.raises(NotConnectedError):
        watched.ask("/any", Parcel({}))
    assert figures(touch) == (None, None, 1.0)
    touch.opened()
    touch.answered(3.0)
    assert figures(touch) == (None, 3.0, 3.0)


def test_what_jobs_ask_is_waited_for_as_long_as_they_do() -> None:
    touch = Touch()
    touch.opened()
    touch.asked(1.0, counted=True)
    touch.opened()
    touch.asked(2.0, counted=True)
    touch.closed()
    assert figures(touch) == (2.0, None, 1.0)
    touch.closed()
    assert figures(touch) == (2.0, None, None)
    touch.opened()
    touch.asked(3.0, counted=True)
    touch.asked(4.0)
    touch.closed()
    assert figures(touch) == (4.0, None, 3.0), "whether it is there was asked too"
    touch.answered(5.0)
    assert figures(touch) == (4.0, 5.0, None)


# Turns and paced jobs


class Talker:
    """A job that asks what it is told to ask."""

    def __init__(self, *costs: int) -> None:
        self.costs = iter(costs)
        self.finished = False
        self.heard: list[object] = []
        self.waits: float | None = None

    def next(self, room: int, now: float) -> Ask | None:
        cost = next(self.costs, None)
        return None if cost is None else Ask(Verb.SEGMENT, lambda: Parcel({}, b"x" * cost), cost)

    def due(self) -> float | None:
        return self.waits

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:
        self.heard.append(ask.cost)

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:
        self.heard.append(error)

    def moved(self, now: float) -> None:
        self.heard.append("moved")

    def failed(self, error: BaseException) -> None:
        self.heard.append(error)
        self.finished = True


class Pace:
    """A scheduler with two transfers, and the turns of their jobs."""

    def __init__(self, rate: float | None = None) -> None:
        self.now = 0.0
        self.scheduler: Scheduler[int] = Scheduler({"only": 1.0})
        for key in (1, 2):
            self.scheduler.add(key, lane="only", priority=key, age=key, rate=rate, now=0.0)
        self.turns = Turns(self.scheduler, lambda: self.now)
        self.tally = Tally()
        self.touch = Touch()

    def job(self, inner: Talker, key: int = 1) -> PacedJob:
        return PacedJob(inner, key, self.turns, self.tally, self.touch)


@pytest.fixture
def pace() -> Pace:
    return Pace()


def test_small_talk_does_not_wait(pace: Pace) -> None:
    large, small = pace.job(Talker(1000)), pace.job(Talker(0, 0), key=2)
    assert large.next(10**6, 0.0) is not None
    assert [small.next(0, 0.0) is not None for _ in range(3)] == [True, True, False]


def test_who_goes_first_sends_first(pace: Pace) -> None:
    second, first = pace.job(Talker(500, 500), key=2), pace.job(Talker(1000))
    assert first.next(10**6, 0.0) is not None
    assert first.next(10**6, 0.0) is None
    ask = second.next(10**6, 0.0)
    assert ask is not None
    assert ask.cost == 500


def test_jobs_of_a_transfer_take_turns(pace: Pace) -> None:
    one, other = pace.job(Talker(1, 1, 1)), pace.job(Talker(2, 2, 2))
    order: list[int] = []
    for _ in range(12):
        for job in (one, other):
            ask = job.next(10**6, 0.0)
            if ask is not None:
                order.append(ask.cost)
    # The first one has asked twice before the other one has asked at all.
    assert order == [1, 1, 2, 1, 2, 2]


def test_whose_turn_it_is_waits_for_room(pace: Pace) -> None:
    first, second = pace.job(Talker(1000, 1000)), pace.job(Talker(10), key=2)
    ask = first.next(10**6, 0.0)
    assert ask is not None
    assert first.next(500, 0.0) is None
    assert second.next(500, 0.0) is None, "nobody takes the room that another waits for"
    assert first.due() is None
    first.answered(ask, Parcel({}), 0.0)
    assert first.next(500, 0.0) is not None, "nothing is outstanding, so it goes anyway"


def test_what_travels_is_counted(pace: Pace) -> None:
    job = pace.job(Talker(1000, 0))
    ask = job.next(10**6, 0.0)
    assert ask is not None
    ask.parcel()
    ask.parcel()
    job.answered(ask, Parcel({"a": "bc"}, b"1234"), 0.0)
    assert pace.tally == Tally(
        bytes_sent=2000,
        bytes_received=7,
        packets_sent=2,
        packets_received=1,
        bytes_retransmitted=1000,
    )


@pytest.mark.parametrize("end", ["answered", "refused", "stopped", "moved", "failed"])
def test_it_is_known_whether_an_answer_is_waited_for(pace: Pace, end: str) -> None:
    job = pace.job(Talker(1000))
    ask = job.next(10**6, 0.0)
    assert ask is not None
    for _ in range(2):
        ask.parcel()
        pace.touch.asked(1.0, counted=True)
    assert figures(pace.touch) == (1.0, None, 1.0)
    error = RefusedError(ErrorCode.INTERNAL, "no")
    {
        "answered": lambda: job.answered(ask, Parcel({}), 2.0),
        "refused": lambda: job.refused(ask, error, 2.0),
        "stopped": lambda: job.stop(error),
        "moved": lambda: job.moved(2.0),
        "failed": lambda: job.failed(error),
    }[end]()
    assert figures(pace.touch) == (1.0, None, None)


def test_a_rate_makes_it_wait() -> None:
    pace = Pace(rate=10_000)
    inner = Talker(32_768, 10_000)
    job = pace.job(inner)
    assert job.next(10**6, 0.0) is not None
    assert job.next(10**6, 0.0) is None
    due = job.due()
    assert due is not None
    assert due == pytest.approx(1.0)
    pace.now = 1.0
    assert job.next(10**6, 1.0) is not None
    inner.waits = 77.0
    assert job.due() == 77.0


def test_one_that_is_stopped_makes_way(pace: Pace) -> None:
    inner = Talker(1000, 1000)
    first, second = pace.job(inner), pace.job(Talker(10), key=2)
    assert first.next(10**6, 0.0) is not None
    assert second.next(10**6, 0.0) is None
    error = StoppedError("enough")
    first.stop(error)
    first.stop(error)
    assert first.finished
    assert inner.heard == [error]
    assert second.next(0, 0.0) is not None, "nothing is outstanding any more"


def test_a_job_that_begins_again_forgets_what_it_wanted(pace: Pace) -> None:
    inner = Talker(1000, 1000, 5)
    job = pace.job(inner)
    assert job.next(10**6, 0.0) is not None
    job.moved(0.0)
    ask = job.next(10**6, 0.0)
    assert ask is not None
    assert ask.cost == 5
    error = RefusedError(ErrorCode.QUOTA, "full")
    job.refused(ask, error, 0.0)
    assert inner.heard == ["moved", error]
    assert pace.turns.waiting(1) == 0


def test_the_rate_at_the_moment_is_known(pace: Pace) -> None:
    job = pace.job(Talker(*[1000] * 50))
    pace.turns.rate(10.0)
    for _ in range(40):
        assert job.next(10**6, 0.0) is not None
    assert pace.turns.rate(11.0) == 0.0
    assert pace.turns.rate(14.0) == pytest.approx(10_000)
    assert pace.turns.rate(16.5) == 0.0
