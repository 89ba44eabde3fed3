"""The engine: every job ends, on a bus that loses, repeats, damages and delays."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from dxlfiletransferclient.errors import FileTransferError, NoAnswerError
from dxlfiletransferclient.exchange.engine import Engine, EngineOptions
from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.exchange.pending import MOST_PENDING
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from tests.unit.client.scriptedbus import (
    DONE,
    ScriptedBus,
    Upload,
    damaged,
    once,
    run,
    uploads,
)


@pytest.fixture
def bus() -> Iterator[ScriptedBus]:
    """A bus with one service; no test may leave a token behind."""
    bus = ScriptedBus()
    bus.serve("{one}")
    yield bus
    assert bus.outstanding == set()


def test_a_job_is_done(bus: ScriptedBus) -> None:
    job = Upload(20)
    engine = run(bus, job)
    assert job.complete
    assert engine.service_id == "{one}"
    assert engine.hello.store_id == "store"
    assert len(bus.asks_of(Verb.SEGMENT)) == 20
    assert {asked.service_id for asked in bus.asks_of(Verb.SEGMENT)} == {"{one}"}


def test_no_jobs_are_no_work(bus: ScriptedBus) -> None:
    run(bus)
    assert bus.verbs() == ["hello"]


def test_the_window_holds_whatever_the_jobs_want(bus: ScriptedBus) -> None:
    bus.instances["{one}"].window = 2500
    flying: dict[int, int] = {}
    most = []
    ask = bus.ask

    def watch(topic: str, parcel: Parcel, *, service_id: str = "") -> int:
        token = ask(topic, parcel, service_id=service_id)
        flying.update({token: 1000} if "number" in parcel.fields else {})
        most.append(sum(cost for each, cost in flying.items() if each in bus.outstanding))
        return token

    bus.ask = watch  # type: ignore[method-assign]
    jobs = list(uploads(8, segments=10))
    run(bus, *jobs, concurrency=8)
    assert all(job.complete for job in jobs)
    assert max(most) == 2000


def test_segments_larger_than_the_window_go_one_by_one(bus: ScriptedBus) -> None:
    bus.instances["{one}"].window = 10
    jobs = list(uploads(3))
    run(bus, *jobs)
    assert all(job.complete for job in jobs)


def test_jobs_are_taken_when_there_is_room_for_them(bus: ScriptedBus) -> None:
    taken: list[Upload] = []
    most = 0

    def jobs() -> Iterator[Upload]:
        nonlocal most
        for job in uploads(30):
            taken.append(job)
            most = max(most, sum(not each.finished for each in taken))
            yield job

    Engine(bus, options=EngineOptions(concurrency=3)).run(jobs())
    assert len(taken) == 30
    assert all(job.complete for job in taken)
    assert most == 3


def test_all_jobs_get_their_turn(bus: ScriptedBus) -> None:
    bus.instances["{one}"].window = 1000
    jobs = list(uploads(4, segments=50))
    run(bus, *jobs)
    order = [asked.parcel.fields["name"] for asked in bus.asks_of(Verb.SEGMENT)]
    assert {order[:40].count(name) for name in set(order)} <= {9, 10, 11}


def test_answers_that_come_twice_or_out_of_order_do_no_harm(bus: ScriptedBus) -> None:
    bus.copies = lambda _asked: 2
    bus.extra_delay = lambda asked: 0.2 * (asked.token % 3)
    job = Upload(40)
    run(bus, job)
    assert job.complete
    assert len(bus.asks_of(Verb.SEGMENT)) == 40


def test_pending_requests_are_bounded_even_if_they_cost_nothing(bus: ScriptedBus) -> None:
    job = Upload(5 * MOST_PENDING, cost=0)
    run(bus, job)
    assert job.complete
    assert job.most_outstanding == MOST_PENDING


def test_what_is_lost_is_sent_again(bus: ScriptedBus) -> None:
    bus.lose = lambda asked: asked.verb == "segment" and asked.token % 5 == 0
    job = Upload(100)
    run(bus, job)
    assert job.complete


def test_a_lost_request_waits_three_seconds_at_first_and_one_later(bus: ScriptedBus) -> None:
    bus.lose = lambda asked: len(bus.asks_of(Verb.SEGMENT)) == 1
    run(bus, Upload(1))
    first, second = bus.asks_of(Verb.SEGMENT)
    assert second.at - first.at == pytest.approx(3.0)
    bus.lose = lambda asked: len(bus.asks_of(Verb.SEGMENT)) == 33
    run(bus, Upload(40))
    lost = bus.asks_of(Verb.SEGMENT)[32]
    again = [each for each in bus.asks_of(Verb.SEGMENT) if each.parcel == lost.parcel][-1]
    assert again.at - lost.at == pytest.approx(1.0, abs=0.05)


def test_lost_answers_are_asked_for_again(bus: ScriptedBus) -> None:
    bus.lose_reply = lambda asked: asked.verb == "segment" and asked.token % 4 == 0
    job = Upload(100)
    run(bus, job)
    assert job.complete


def test_content_is_made_anew_for_each_attempt(bus: ScriptedBus) -> None:
    made: list[int] = []

    class Counting(Upload):
        def parcel(self, number: int) -> Parcel:
            made.append(number)
            return super().parcel(number)

    bus.lose = lambda asked: len(bus.asks_of(Verb.SEGMENT)) == 1
    run(bus, Counting(1))
    assert made == [0, 0]


def test_an_answer_that_comes_late_still_counts(bus: ScriptedBus) -> None:
    bus.extra_delay = lambda asked: 4.0 if asked.verb == "segment" else 0.0
    job = Upload(3)
    run(bus, job)
    assert job.complete
    assert job.moves == 0
    assert bus.time < 1010


def test_a_slow_line_is_not_clogged_by_repeats() -> None:
    bus = ScriptedBus(delay=0.05, rate=125_000)
    bus.serve("{one}", segment_size=10**6)
    job = Upload(50, 10**6, payload=True)
    run(bus, job)
    assert job.complete
    # Before the first answer nobody can know how slow it is.
    assert len(bus.asks_of(Verb.SEGMENT)) <= 50 + 10


def test_a_long_line_is_filled() -> None:
    bus = ScriptedBus(delay=0.025, rate=100e6)
    bus.serve("{one}", segment_size=10**6)
    began = bus.time
    run(bus, Upload(500, 10**6, payload=True))
    assert bus.time - began < 1.08 * 5.0


def test_damaged_answers_are_asked_for_again(bus: ScriptedBus) -> None:
    bus.instances["{one}"].answer = once(damaged(), times=3)
    job = Upload(5)
    run(bus, job)
    assert job.complete
    assert len(bus.asks_of(Verb.SEGMENT)) == 20


def test_damaged_requests_are_sent_again(bus: ScriptedBus) -> None:
    bus.instances["{one}"].answer = once(RefusedError(ErrorCode.CORRUPT, "damaged"))
    job = Upload(5)
    run(bus, job)
    assert job.complete
    assert bus.time < 1001


def test_busy_services_are_given_the_time_they_ask_for(bus: ScriptedBus) -> None:
    bus.instances["{one}"].answer = once(RefusedError(ErrorCode.BUSY, "busy", 7.0))
    run(bus, Upload(1))
    first, second = bus.asks_of(Verb.SEGMENT)
    assert 7.0 <= second.at - first.at < 7.1


@pytest.mark.parametrize("code", [ErrorCode.BUSY, 0x80000002])
def test_busy_services_slow_the_engine_down_and_nothing_piles_up(
    bus: ScriptedBus, code: int
) -> None:
    bus.instances["{one}"].window = 50_000
    bus.instances["{one}"].answer = lambda asked: (
        DONE if bus.time > 1060 else RefusedError(code, "busy")
    )
    job = Upload(500)
    engine = run(bus, job)
    assert job.complete
    before = [asked for asked in bus.asks_of(Verb.SEGMENT) if asked.at < 1060]
    assert len(before) < 200
    assert {asked.parcel.fields["number"] for asked in before} <= {str(n) for n in range(8)}
    assert engine.window >= 1000


def test_other_jobs_go_on_while_one_is_told_to_wait(bus: ScriptedBus) -> None:
    bus.instances["{one}"].answer = lambda asked: (
        RefusedError(ErrorCode.BUSY, "busy", 1.0)
        if asked.parcel.fields["name"] == "file-0" and bus.time < 1030
        else DONE
    )
    jobs = list(uploads(20))
    run(bus, *jobs, concurrency=2)
    assert all(job.complete for job in jobs)


def test_a_service_that_stays_busy_ends_the_call(bus: ScriptedBus) -> None:
    bus.instances["{one}"].answer = lambda _asked: RefusedError(ErrorCode.BUSY, "memory is full")
    job = Upload(3)
    with pytest.raises(NoAnswerError, match=r"60 seconds.*memory is full"):
        run(bus, job, patience=60.0)
    assert isinstance(job.error, NoAnswerError)
    assert 60 <= bus.time - 1000 < 61


@pytest.mark.parametrize(
    "code", [ErrorCode.OTHER_BYTES, ErrorCode.QUOTA, ErrorCode.UNKNOWN_TRANSFER, 0, 4711]
)
def test_an_error_for_good_is_the_jobs_own(bus: ScriptedBus, code: int) -> None:
    bus.instances["{one}"].answer = lambda asked: (
        RefusedError(code, "no") if asked.parcel.fields["name"] == "file-1" else DONE
    )
    jobs = list(uploads(3))
    run(bus, *jobs)
    assert [job.complete for job in jobs] == [True, False, True]
    assert [error.code for error in jobs[1].refusals] == [code]
    assert jobs[1].error is jobs[1].refusals[0]


def test_a_job_may_live_with_a_refusal(bus: ScriptedBus) -> None:
    class Reopening(Upload):
        def refused(self, ask: Ask, error: RefusedError, now: float) -> None:
            self.refusals.append(error)
            self.moved(now)

    bus.instances["{one}"].answer = once(RefusedError(ErrorCode.UNKNOWN_TRANSFER, "who?"))
    job = Reopening(1)
    run(bus, job)
    assert job.complete
    assert len(job.refusals) == 1


def test_what_a_service_does_not_offer_is_not_asked(bus: ScriptedBus) -> None:
    bus.instances["{one}"].verbs = "hello segment"
    jobs = [Upload(1, verb=Verb.RETRIEVE), Upload(1)]
    run(bus, *jobs)
    assert isinstance(jobs[0].error, RefusedError)
    assert jobs[0].error.means(ErrorCode.NOT_ALLOWED)
    assert jobs[1].complete
    assert "retrieve" not in bus.verbs()


@dataclass
class Faulty(Upload):
    """Fails in one of its methods."""

    where: str = ""

    def _break(self, where: str) -> None:
        if where == self.where:
            raise KeyError(where)

    def next(self, room: int, now: float) -> Ask | None:
        self._break("next")
        return super().next(room, now)

    def parcel(self, number: int) -> Parcel:
        self._break("parcel")
        return super().parcel(number)

    def due(self) -> float | None:
        self._break("due")
        return super().due()

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:
        self._break("answered")
        super().answered(ask, answer, now)

    def failed(self, error: BaseException) -> None:
        super().failed(error)
        self._break("failed")


@pytest.mark.parametrize("where", ["next", "parcel", "due", "answered"])
def test_an_exception_ends_its_job_only(bus: ScriptedBus, where: str) -> None:
    faulty, others = Faulty(where=where), list(uploads(3))
    run(bus, others[0], faulty, others[1], others[2])
    assert isinstance(faulty.error, KeyError)
    assert all(job.complete for job in others)


def test_a_job_that_cannot_even_fail_ends_too(bus: ScriptedBus) -> None:
    bus.instances["{one}"].answer = once(RefusedError(ErrorCode.QUOTA, "full"))
    faulty, other = Faulty(where="failed"), Upload(2, name="other")
    bus.instances["{one}"].answer = lambda asked: (
        DONE if asked.parcel.fields["name"] == "other" else RefusedError(ErrorCode.QUOTA, "full")
    )
    run(bus, faulty, other)
    assert isinstance(faulty.error, RefusedError)
    assert other.complete


def test_an_answer_that_makes_no_sense_ends_its_job(bus: ScriptedBus) -> None:
    class Picky(Upload):
        def answered(self, ask: Ask, answer: Parcel, now: float) -> None:
            raise RefusedError(ErrorCode.INVALID, "no valid message")

    job = Picky(2)
    run(bus, job)
    assert isinstance(job.error, RefusedError)


def test_a_job_that_does_nothing_is_ended_and_not_waited_for(bus: ScriptedBus) -> None:
    class Idle(Upload):
        def next(self, room: int, now: float) -> Ask | None:
            return None

    idle, other = Idle(), Upload(3)
    run(bus, idle, other)
    assert isinstance(idle.error, FileTransferError)
    assert other.complete


def test_a_job_may_wait_for_the_clock_for_as_long_as_it_likes(bus: ScriptedBus) -> None:
    class Sleepy(Upload):
        def next(self, room: int, now: float) -> Ask | None:
            return super().next(room, now) if now >= 1500 else None

        def due(self) -> float | None:
            return 1500.0

    job = Sleepy(1)
    run(bus, job, patience=5.0)
    assert job.complete
    assert bus.time == pytest.approx(1500.0, abs=0.1)


def test_a_job_whose_time_has_come_and_that_does_nothing_does_not_spin(bus: ScriptedBus) -> None:
    class Overdue(Upload):
        def next(self, room: int, now: float) -> Ask | None:
            return super().next(room, now) if now >= 1010 else None

        def due(self) -> float | None:
            return 0.0

    run(bus, Overdue(1))
    assert bus.waits < 2000
