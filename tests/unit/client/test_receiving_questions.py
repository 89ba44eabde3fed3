"""Small questions, many at once."""

import pytest

from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.protocol.coding import encode
from dxlfiletransferclient.protocol.messages import Entry, Kind, StatAnswer, StatRequest
from dxlfiletransferclient.protocol.parcels import Parcel, sealed
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.receiving.questions import MOST_AT_ONCE, Questions
from tests.unit.client.receiving import Stage, put


def questions(count: int) -> Questions[StatAnswer]:
    requests = [StatRequest(name=str(number)) for number in range(count)]
    return Questions(Verb.STAT, requests, StatAnswer, not_yet=lambda answer: answer.pending)


def answer_to(ask: Ask, *, pending: bool = False) -> Parcel:
    entry = Entry(name=str(ask.note), kind=Kind.FILE, size=0, modified_ns=0)
    return encode(StatAnswer(entry=(entry,), pending=pending))


def asked(job: Questions[StatAnswer], now: float = 0.0) -> list[Ask]:
    asks = []
    while ask := job.next(0, now):
        asks.append(ask)
    return asks


def test_bounded_and_in_order() -> None:
    job = questions(MOST_AT_ONCE + 5)
    first = asked(job)
    assert len(first) == MOST_AT_ONCE
    for ask in reversed(first):
        job.answered(ask, answer_to(ask), 0.0)
    for ask in asked(job):
        job.answered(ask, answer_to(ask), 0.0)

    assert job.finished
    found = [outcome.entry[0].name for outcome in job.outcomes if isinstance(outcome, StatAnswer)]
    assert found == [str(number) for number in range(MOST_AT_ONCE + 5)]


def test_none() -> None:
    job = questions(0)
    assert (job.finished, job.outcomes) == (True, [])


def test_one_that_fails() -> None:
    job = questions(3)
    one, two, three = asked(job)
    error = RefusedError(ErrorCode.NOT_FOUND, "nothing")
    job.refused(one, error, 0.0)
    job.answered(two, sealed({"sha256": "no digest"}, b"[]"), 0.0)
    job.answered(three, answer_to(three), 0.0)

    assert job.finished
    assert job.outcomes[0] is error
    assert isinstance(job.outcomes[1], RefusedError)
    assert isinstance(job.outcomes[2], StatAnswer)


def test_damage_is_the_engine_s() -> None:
    job = questions(1)
    (ask,) = asked(job)
    with pytest.raises(RefusedError) as caught:
        job.answered(ask, Parcel({}), 0.0)
    assert caught.value.means(ErrorCode.CORRUPT)


def test_not_yet() -> None:
    job = questions(1)
    now, pauses = 0.0, []
    for _ in range(6):
        (ask,) = asked(job, now)
        job.answered(ask, answer_to(ask, pending=True), now)
        due = job.due()
        assert due is not None
        assert asked(job, due - 0.01) == []
        pauses.append(round(due - now, 3))
        now = due
    (ask,) = asked(job, now)
    job.answered(ask, answer_to(ask), now)

    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert (job.finished, job.due()) == (True, None)


def test_after_a_move_all_that_is_open_is_asked_again() -> None:
    job = questions(4)
    first = asked(job)
    job.answered(first[1], answer_to(first[1]), 0.0)
    job.moved(0.0)

    assert [ask.note for ask in asked(job)] == [0, 2, 3]


def test_given_up() -> None:
    job = questions(2)
    asked(job)
    error = ValueError()
    job.failed(error)

    assert (job.finished, job.outcomes) == (True, [error, error])


def test_over_a_bus() -> None:
    stage = Stage(slow_answers=2)
    put(stage.store, {str(number): b"1" for number in range(100)})
    job = questions(101)
    Engine(stage.bus).run([job])

    names = [outcome.entry[0].name for outcome in job.outcomes if isinstance(outcome, StatAnswer)]
    assert names == [str(number) for number in range(100)]
    assert isinstance(job.outcomes[100], RefusedError)
