"""The calls of the engine: questions beside jobs, cancelling, and how everything ends."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dxlfiletransferclient.errors import NoAnswerError
from dxlfiletransferclient.exchange.cancelling import Cancellation, TransferCancelledError
from dxlfiletransferclient.exchange.engine import Engine, EngineOptions
from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.protocol.coding import encode
from dxlfiletransferclient.protocol.messages import (
    DoneAnswer,
    RemoveAnswer,
    RemoveRequest,
    StatusRequest,
)
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from tests.unit.client.scriptedbus import (
    DONE,
    ScriptedBus,
    Upload,
    never,
    restart,
    uploads,
)


@pytest.fixture
def bus() -> Iterator[ScriptedBus]:
    """A bus with one service; no test may leave a token behind."""
    bus = ScriptedBus()
    bus.serve("{one}")
    yield bus
    assert bus.outstanding == set()


def test_a_question_is_answered(bus: ScriptedBus) -> None:
    bus.instances["{one}"].answer = lambda _asked: encode(RemoveAnswer(removed=3))
    answer = Engine(bus).ask(Verb.REMOVE, RemoveRequest(name="x"), RemoveAnswer)
    assert answer == RemoveAnswer(removed=3)


def test_a_question_is_repeated_and_survives_a_move(bus: ScriptedBus) -> None:
    bus.instances["{one}"].answer = never
    bus.at(5.0, lambda: restart(bus))
    Engine(bus).ask(Verb.STATUS, StatusRequest(file_id="x"), DoneAnswer)
    assert bus.asks_of(Verb.STATUS)[-1].service_id == "{two}"


def test_a_question_that_is_refused_raises_what_it_was_told(bus: ScriptedBus) -> None:
    bus.instances["{one}"].answer = lambda _asked: RefusedError(ErrorCode.NOT_FOUND, "no such")
    with pytest.raises(RefusedError, match="no such"):
        Engine(bus).ask(Verb.REMOVE, RemoveRequest(name="x"), RemoveAnswer)


def test_jobs_may_be_made_by_asking(bus: ScriptedBus) -> None:
    engine = Engine(bus, options=EngineOptions(concurrency=2))
    made: list[Upload] = []

    def jobs() -> Iterator[Upload]:
        for job in uploads(10, segments=5):
            engine.ask(Verb.STATUS, StatusRequest(file_id="x"), DoneAnswer)
            made.append(job)
            yield job

    engine.run(jobs())
    assert len(made) == 10
    assert all(job.complete for job in made)


def test_a_job_may_end_while_another_one_is_looked_for(bus: ScriptedBus) -> None:
    engine = Engine(bus)
    first = Upload(1)

    def jobs() -> Iterator[Upload]:
        yield first
        while not first.complete:
            engine.ask(Verb.STATUS, StatusRequest(file_id="x"), DoneAnswer)

    engine.run(jobs())
    assert first.complete


def test_a_refused_question_harms_no_job(bus: ScriptedBus) -> None:
    bus.instances["{one}"].answer = lambda asked: (
        RefusedError(ErrorCode.NOT_FOUND, "no") if asked.verb == "status" else DONE
    )
    engine = Engine(bus)
    first, second = uploads(2, segments=10)

    def jobs() -> Iterator[Upload]:
        yield first
        with pytest.raises(RefusedError):
            engine.ask(Verb.STATUS, StatusRequest(file_id="x"), DoneAnswer)
        yield second

    engine.run(jobs())
    assert first.complete
    assert second.complete


def test_a_job_cannot_use_the_engine_itself(bus: ScriptedBus) -> None:
    engine = Engine(bus)

    class Meddling(Upload):
        def next(self, room: int, now: float) -> Ask | None:
            engine.ask(Verb.STATUS, StatusRequest(file_id="x"), DoneAnswer)
            return None

    job, other = Meddling(), Upload(2)
    engine.run([job, other])
    assert isinstance(job.error, RuntimeError)


def test_cancelling_ends_all_jobs(bus: ScriptedBus) -> None:
    cancel = Cancellation()
    bus.at(0.1, cancel.cancel)
    jobs = list(uploads(2, segments=10_000))
    with pytest.raises(TransferCancelledError):
        Engine(bus, cancel=cancel).run(jobs)
    assert all(isinstance(job.error, TransferCancelledError) for job in jobs)
    assert bus.time == pytest.approx(1000.1)
    with pytest.raises(TransferCancelledError):
        Engine(bus, cancel=cancel).connect()


def test_cancelling_ends_the_search(bus: ScriptedBus) -> None:
    cancel = Cancellation()
    bus.instances["{one}"].hello = never
    bus.at(2.0, cancel.cancel)
    with pytest.raises(TransferCancelledError):
        Engine(bus, cancel=cancel).connect()
    assert bus.time == pytest.approx(1002.0)


def test_each_round_is_called_often_and_what_it_raises_ends_the_call(bus: ScriptedBus) -> None:
    times: list[float] = []
    bus.lose = lambda asked: len(bus.asks_of(Verb.SEGMENT)) == 1

    def look() -> None:
        times.append(bus.time)
        if len(times) > 5:
            raise KeyboardInterrupt

    job = Upload(1)
    with pytest.raises(KeyboardInterrupt):
        Engine(bus).run([job], each_round=look)
    assert isinstance(job.error, KeyboardInterrupt)
    assert max(b - a for a, b in itertools.pairwise(times)) <= 0.25


def test_what_the_source_of_jobs_raises_ends_the_call(bus: ScriptedBus) -> None:
    first = Upload(100)

    def jobs() -> Iterator[Upload]:
        yield first
        raise OSError("cannot read the directory")

    with pytest.raises(OSError, match="directory"):
        Engine(bus).run(jobs())
    assert isinstance(first.error, OSError)


def test_an_engine_goes_on_after_a_failure(bus: ScriptedBus) -> None:
    engine = Engine(bus, options=EngineOptions(patience=10.0))
    one = bus.instances["{one}"]
    engine.connect()
    bus.instances.clear()
    with pytest.raises(NoAnswerError):
        engine.run([Upload(1)])
    bus.instances["{one}"] = one
    job = Upload(1)
    engine.run([job])
    assert job.complete


@pytest.mark.parametrize(
    "options",
    [
        {"window": 0},
        {"concurrency": 0},
        {"patience": -1.0},
        {"patience": math.nan},
        {"shortest_timeout": 20.0},
    ],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        EngineOptions(**options)


@dataclass(kw_only=True)
class Blocking(Upload):
    """A job whose source lets it wait for long, as a pipe may."""

    bus: ScriptedBus
    where: str

    def _block(self, where: str) -> None:
        if where == self.where:
            self.bus.sleep(200.0)

    def next(self, room: int, now: float) -> Ask | None:
        assert now == self.bus.time
        ask = super().next(room, now)
        if ask is not None:
            self._block("next")
        return ask

    def parcel(self, number: int) -> Parcel:
        self._block("parcel")
        return super().parcel(number)

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:
        super().answered(ask, answer, now)
        self._block("answered")


@pytest.mark.parametrize("where", ["next", "parcel", "answered", "round"])
@pytest.mark.parametrize("cost", [1000, 10_000])
def test_the_time_that_others_take_is_no_silence_of_the_service(
    bus: ScriptedBus, where: str, cost: int
) -> None:
    """Neither patience nor time-outs run while a source of content or the caller takes long."""
    job = Blocking(5, cost, bus=bus, where=where)
    engine = Engine(bus, options=EngineOptions(patience=100.0))
    rounds = itertools.count()

    def each_round() -> None:
        if where == "round" and next(rounds) % 3 == 0:
            bus.sleep(200.0)

    engine.run([job], each_round=each_round)
    assert job.complete
    assert bus.verbs().count("segment") == 5
    assert bus.verbs().count("hello") == 1


def test_the_silence_of_the_service_counts_all_the_same(bus: ScriptedBus) -> None:
    bus.instances["{one}"].answer = never
    job = Blocking(3, bus=bus, where="parcel")
    with pytest.raises(NoAnswerError, match="100 seconds"):
        Engine(bus, options=EngineOptions(patience=100.0)).run([job])
    assert bus.waits < 5000
