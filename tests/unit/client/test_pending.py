"""Pending requests: when they are sent again, whose answers count, what is forgotten."""

import math
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.exchange.pending import MOST_LATE, Pending, PendingAsks
from dxlfiletransferclient.exchange.window import FIRST_SEGMENTS, FIRST_TIMEOUT, Window
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.verbs import Verb


class Desk:
    """Pending requests of one owner, sent with rising tokens."""

    def __init__(self, *, window: int = 10_000) -> None:
        self.forgotten: list[int] = []
        self.asks: PendingAsks[str] = PendingAsks(
            self.new_window(window),
            shortest=1.0,
            longest=15.0,
            forget=self.forgotten.append,
        )
        self.tokens = 0

    def new_window(self, size: int) -> Window:
        return Window(largest=size, granted=size, segment_size=1000)

    def add(self, cost: int = 1000, *, verb: Verb = Verb.SEGMENT, owner: str = "owner") -> None:
        self.asks.add(owner, Ask(verb, lambda: Parcel({}), cost))

    def send(self, now: float) -> list[Pending[str]]:
        sent = []
        for pending in self.asks.ready(now):
            self.tokens += 1
            self.asks.sent(pending, self.tokens, now)
            sent.append(pending)
        return sent

    def answer(self, token: int, now: float) -> bool:
        pending = self.asks.answered(token, now)
        if pending is not None:
            self.asks.done(pending)
        return pending is not None


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_what_is_answered_is_gone(desk: Desk) -> None:
    desk.add()
    assert len(desk.send(0.0)) == 1
    assert desk.asks.window.in_flight == 1000
    assert desk.answer(1, 0.5)
    assert len(desk.asks) == 0
    assert desk.asks.window.in_flight == 0
    assert not desk.answer(1, 0.6)
    assert desk.asks.due(0.6) == math.inf


def test_only_what_fits_is_sent_and_small_talk_always_is(desk: Desk) -> None:
    for _ in range(FIRST_SEGMENTS + 2):
        desk.add()
    desk.add(0)
    sent = desk.send(0.0)
    assert [pending.ask.cost for pending in sent] == [*[1000] * FIRST_SEGMENTS, 0]
    assert desk.asks.room == 0
    desk.answer(1, 0.1)
    assert len(desk.send(0.1)) == 1


def test_small_ones_do_not_pass_a_large_one(desk: Desk) -> None:
    desk.add(5000)
    desk.add(5000)
    desk.add(500)
    assert [pending.ask.cost for pending in desk.send(0.0)] == [5000]


def test_a_time_out_sends_again_and_either_answer_counts(desk: Desk) -> None:
    desk.add()
    desk.send(0.0)
    assert desk.asks.due(0.0) == FIRST_TIMEOUT
    assert desk.asks.expire(FIRST_TIMEOUT - 0.01) == 0
    assert desk.asks.expire(FIRST_TIMEOUT) == 1
    assert len(desk.send(3.0)) == 1
    assert desk.answer(1, 4.0)
    assert desk.forgotten == [2]
    assert desk.asks.window.in_flight == 0


def test_waiting_doubles_with_each_repeat(desk: Desk) -> None:
    desk.add()
    now, waits = 0.0, []
    for _ in range(5):
        desk.send(now)
        waits.append(desk.asks.due(now) - now)
        now = desk.asks.due(now)
        desk.asks.expire(now)
    assert waits == [3, 6, 12, 15, 15]
    assert len(desk.forgotten) == 5 - MOST_LATE


def test_a_queue_that_moves_is_not_lost(desk: Desk) -> None:
    """Answers come every two seconds, in order: the last one is due after eight."""
    for _ in range(4):
        desk.add()
    desk.send(0.0)
    for token in range(1, 5):
        assert desk.asks.expire(2.0 * token - 0.1) == 0
        assert desk.answer(token, 2.0 * token)


def test_what_was_overtaken_waits_no_longer_than_its_own_time(desk: Desk) -> None:
    desk.add()
    desk.send(0.0)
    desk.add()
    desk.send(1.0)
    desk.answer(2, 2.9)
    assert desk.asks.due(2.9) == 3.0


def test_each_verb_has_its_own_time(desk: Desk) -> None:
    desk.add(verb=Verb.BATCH)
    desk.send(0.0)
    desk.answer(1, 2.9)
    desk.add(verb=Verb.SEGMENT)
    desk.send(3.0)
    desk.answer(2, 3.01)
    desk.add(verb=Verb.BATCH)
    desk.send(10.0)
    slow = desk.asks.due(10.0) - 10.0
    desk.asks.clear()
    desk.add(verb=Verb.SEGMENT)
    desk.send(20.0)
    assert slow > 2.9
    assert desk.asks.due(20.0) == 21.0


def test_what_is_refused_for_now_waits_and_takes_no_room(desk: Desk) -> None:
    desk.add()
    desk.send(0.0)
    pending = desk.asks.refused(1, 0.1, passing=True, slow=True)
    assert pending is not None
    desk.asks.again(pending, 5.0)
    assert desk.asks.window.in_flight == 0
    assert desk.asks.window.size == 4000
    assert desk.asks.room == 3000  # what waits comes first
    assert desk.send(4.9) == []
    assert desk.asks.due(4.9) == 5.0
    assert desk.send(5.0) == [pending]


def test_a_passing_error_to_an_old_attempt_means_nothing(desk: Desk) -> None:
    desk.add()
    desk.send(0.0)
    desk.asks.expire(3.0)
    desk.send(3.0)
    assert desk.asks.refused(1, 3.1, passing=True, slow=False) is None
    assert desk.answer(2, 3.2)


def test_an_error_for_good_to_an_old_attempt_counts(desk: Desk) -> None:
    desk.add()
    desk.send(0.0)
    desk.asks.expire(3.0)
    desk.send(3.0)
    pending = desk.asks.refused(1, 3.1, passing=False, slow=False)
    assert pending is not None
    desk.asks.done(pending)
    assert desk.forgotten == [2]
    assert len(desk.asks) == 0
    assert desk.asks.window.in_flight == 0


def test_a_damaged_answer_to_an_old_attempt_sends_again_only_once(desk: Desk) -> None:
    desk.add()
    desk.send(0.0)
    desk.asks.expire(3.0)
    desk.send(3.0)
    pending = desk.asks.answered(1, 3.1)
    assert pending is not None
    desk.asks.again(pending, 3.1)
    assert desk.send(3.1) == [pending]
    assert desk.answer(2, 3.2)
    assert desk.forgotten == [3]


def test_dropping_an_owner_leaves_the_others(desk: Desk) -> None:
    desk.add(owner="one")
    desk.add(owner="two")
    desk.send(0.0)
    desk.add(owner="one")
    desk.asks.drop("one")
    assert desk.forgotten == [1]
    assert desk.asks.window.in_flight == 1000
    assert len(desk.asks) == 1
    desk.asks.clear()
    assert desk.forgotten == [1, 2]
    assert len(desk.asks) == 0


def test_a_restart_sends_everything_again(desk: Desk) -> None:
    for _ in range(3):
        desk.add()
    desk.send(0.0)
    desk.asks.restart(desk.new_window(10_000))
    assert desk.asks.window.in_flight == 0
    assert len(desk.send(1.0)) == 3
    assert desk.asks.window.in_flight == 3000
    assert desk.answer(1, 1.1)  # it was only slow
    assert desk.asks.window.in_flight == 2000


def steps_of(action: Callable[[], object]) -> int:
    """Count the instructions of the interpreter that something takes."""
    count = 0

    def trace(frame: FrameType, event: str, _arg: Any) -> Callable[..., Any]:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def steps_of_rounds(outstanding: int, waiting: int) -> int:
    """Count what rounds take that answer one request and send another, with others around."""
    desk = Desk()
    most = 1000 * outstanding
    desk.asks.window.fits = lambda cost: desk.asks.window.in_flight + cost <= most  # type: ignore[method-assign]
    for _ in range(outstanding + waiting):
        desk.add()
    assert len(desk.send(0.0)) == outstanding

    def turn(token: int) -> None:
        now = token / 1000
        assert desk.asks.expire(now) == 0
        assert desk.answer(token, now)
        desk.add(owner=f"owner {token}")
        assert desk.asks.room >= 0
        assert len(desk.send(now)) == 1
        assert now < desk.asks.due(now) < math.inf
        desk.asks.drop("nobody")

    turn(1)  # after which all the others wait for their turn
    return sum(steps_of(partial(turn, token)) for token in range(2, 100))


def test_a_round_takes_no_more_steps_where_more_is_outstanding_or_waits() -> None:
    few = steps_of_rounds(100, 1)
    assert steps_of_rounds(400, 1) < few * 1.1
    assert steps_of_rounds(100, 300) < few * 1.1
