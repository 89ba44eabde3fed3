"""How long what is in flight is waited for, and how much work it is to know."""

import math

from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.exchange.deadlines import Deadlines
from dxlfiletransferclient.exchange.schedule import Schedule
from dxlfiletransferclient.exchange.waiting import WaitingLine

TIMES = st.floats(min_value=0.0, max_value=3.0)


class Model:
    """The same rule, applied to each thing in flight anew."""

    def __init__(self) -> None:
        self.flights: dict[int, tuple[float, float]] = {}
        self.front = (-math.inf, -math.inf)

    def end(self, thing: int) -> float:
        at, timeout = self.flights[thing]
        asked, heard = self.front
        return max(at, heard if asked <= at else -math.inf) + timeout

    def due(self) -> float:
        return min(map(self.end, self.flights), default=math.inf)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["send", "send", "answer", "late", "drop", "expire", "restart"]),
            TIMES,
            TIMES,
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_everything_is_waited_for_by_one_rule(steps: list[tuple[str, float, float, bool]]) -> None:
    model, deadlines, now = Model(), Deadlines[int](), 0.0
    answered: list[float] = []
    for number, (step, pause, timeout, look) in enumerate(steps):
        now += pause
        chosen = sorted(model.flights)[int(timeout * 7) % max(1, len(model.flights)) :][:1]
        if step == "send":
            model.flights[number] = now, timeout
            deadlines.add(number, now, timeout)
        elif step in ("answer", "drop") and chosen:
            at, _ = model.flights.pop(chosen[0])
            deadlines.remove(chosen[0])
            if step == "answer":
                answered.append(at)
                model.front = max(model.front, (at, now))
                deadlines.answered(at, now)
        elif step == "late" and answered:  # an answer to an attempt that flies no more
            model.front = max(model.front, (answered[0], now))
            deadlines.answered(answered[0], now)
        elif step == "expire":
            overdue = [each for each in model.flights if model.end(each) <= now]
            assert deadlines.overdue(now) == overdue
            for each in overdue:
                del model.flights[each]
        elif step == "restart":
            for each in deadlines:
                deadlines.remove(each)
            deadlines.restart()
            model = Model()
        # Where nobody looks, it is found out later what has become of things.
        assert not look or deadlines.due() == model.due()
        assert list(deadlines) == list(model.flights)
        assert len(deadlines) == len(model.flights)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30), TIMES), max_size=300))
def test_a_schedule_keeps_things_in_order(steps: list[tuple[bool, int, float]]) -> None:
    schedule, model = Schedule[int](), dict[int, float]()
    for add, thing, key in steps:
        if add:
            schedule.add(thing, key)
            model.setdefault(thing, key)
        else:
            schedule.remove(thing)
            model.pop(thing, None)
        first = schedule.first
        assert (None if first is None else first[0]) == min(model.values(), default=None)
        assert first is None or model[first[1]] == first[0]
        assert len(schedule) == len(model)
        assert (thing in schedule) == (thing in model)


def test_equal_things_come_in_the_order_in_which_they_were_put_in() -> None:
    schedule = Schedule[str]()
    for name in "cab":
        schedule.add(name, 1.0)
    found = []
    while schedule.first:
        found.append(schedule.first[1])
        schedule.remove(found[-1])
    assert found == ["c", "a", "b"]


def test_a_line_keeps_its_order_whatever_has_to_wait_for_its_time() -> None:
    line = WaitingLine[str]()
    line.add("first", 10)
    line.add("small talk", 0)
    line.add("last", 10)
    line.add("first", 10, not_before=5.0)  # refused for now: it keeps its place
    assert (line.cost, len(line), line.due(0.0)) == (20, 3, 5.0)
    assert next(line.ready(4.0, lambda _: True)) == "small talk"
    sent = []
    for each in line.ready(5.0, lambda _: True):
        sent.append(each)
        line.remove(each)
    assert sent == ["first", "small talk", "last"]
    assert (line.cost, len(line), line.due(5.0)) == (0, 0, math.inf)


class PlainLine:
    """The same line, looked through from its beginning each time."""

    def __init__(self) -> None:
        self.waiting: dict[int, tuple[int, float]] = {}

    def add(self, thing: int, cost: int, not_before: float) -> None:
        self.waiting[thing] = self.waiting.get(thing, (cost, 0.0))[0], not_before

    def next(self, now: float, room: int) -> int | None:
        passed = False
        for thing, (cost, not_before) in self.waiting.items():
            if not_before > now or (cost and passed):
                continue
            if cost <= room:
                return thing
            passed = True
        return None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "add", "later", "send", "remove"]),
            st.integers(0, 8),
            st.sampled_from([0, 1, 5]),
            TIMES,
        ),
        max_size=60,
    )
)
def test_a_line_is_gone_through_in_order(steps: list[tuple[str, int, int, float]]) -> None:
    line, model, now = WaitingLine[int](), PlainLine(), 0.0
    for step, thing, number, pause in steps:
        now += pause / 2
        if step in ("add", "later"):
            not_before = now + pause if step == "later" else -math.inf
            line.add(thing, number, not_before)
            model.add(thing, number, not_before)
        elif step == "remove":
            line.remove(thing)
            model.waiting.pop(thing, None)
        else:
            found = next(line.ready(now, number.__ge__), None)
            assert found == model.next(now, number)
        assert (len(line), thing in line) == (len(model.waiting), thing in model.waiting)
        assert line.cost == sum(cost for cost, _ in model.waiting.values())
        later = [not_before for _, not_before in model.waiting.values() if not_before > now]
        assert line.due(now) == min(later, default=math.inf)


def test_a_line_ends_with_what_could_not_be_sent() -> None:
    line = WaitingLine[str]()
    line.add("one", 1)
    line.add("two", 1)
    assert list(line.ready(0.0, lambda _: True)) == ["one"]
    assert list(line.ready(0.0, lambda _: False)) == []
