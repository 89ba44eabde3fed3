"""The engine and its service: found at the start, lost, and found again."""

import itertools
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dxlfiletransferclient.errors import FileTransferError, NoAnswerError, NotConnectedError
from dxlfiletransferclient.exchange.engine import Engine, EngineOptions
from dxlfiletransferclient.exchange.patience import MOST_SILENCES
from dxlfiletransferclient.exchange.recovery import FIRST_WAIT
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from tests.unit.client.scriptedbus import (
    DONE,
    Asked,
    Outcome,
    ScriptedBus,
    Upload,
    damaged,
    never,
    restart,
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


def test_nobody_there_is_clear_at_once() -> None:
    bus = ScriptedBus()
    with pytest.raises(RefusedError, match=topic_of(Verb.OPEN).removesuffix("/v2/open")) as caught:
        Engine(bus).connect()
    assert caught.value.means(ErrorCode.NO_SERVICE)
    assert bus.time < 1000.1


def test_a_service_on_another_topic_is_not_asked() -> None:
    bus = ScriptedBus()
    heard: list[Asked] = []
    bus.serve("{other}", topic="/other", hello=heard.append)
    bus.serve("{mine}", "mine", topic="/mine")
    assert Engine(bus, "/mine").connect().store_id == "mine"
    bus.serve("{mine too}", "mine", topic="/mine")
    assert Engine(bus, "/mine").connect().store_id == "mine"
    assert {asked.service_id for asked in bus.asked} == {"", "{mine}", "{mine too}"}
    assert heard == []


def test_a_single_service_is_greeted_once_and_within_one_round_trip(bus: ScriptedBus) -> None:
    engine = Engine(bus)
    engine.connect()
    assert engine.service_id == "{one}"
    assert [asked.service_id for asked in bus.asks_of(Verb.HELLO)] == [""]
    assert bus.time == pytest.approx(1000 + 2 * bus.delay)


@pytest.mark.parametrize("late", ["hello", "query"])
def test_the_order_of_the_first_answers_does_not_matter(bus: ScriptedBus, late: str) -> None:
    bus.extra_delay = lambda asked: 0.1 if asked.verb == late else 0.0
    engine = Engine(bus)
    engine.connect()
    assert engine.service_id == "{one}"
    assert [asked.service_id for asked in bus.asks_of(Verb.HELLO)] == [""]


def test_a_lost_hello_to_anybody_is_not_waited_for_where_each_is_greeted(bus: ScriptedBus) -> None:
    bus.serve("{far}", "elsewhere")
    bus.lose = lambda asked: asked.verb == "hello" and not asked.service_id
    engine = Engine(bus)
    engine.connect()
    assert sorted(each.service_id for each in engine.instances) == ["{far}", "{one}"]
    assert bus.time < 1000.1


def test_a_lost_hello_to_the_only_one_is_repeated(bus: ScriptedBus) -> None:
    bus.lose = lambda asked: asked.verb == "hello" and not asked.service_id
    engine = Engine(bus)
    engine.connect()
    assert engine.service_id == "{one}"
    assert [asked.service_id for asked in bus.asks_of(Verb.HELLO)] == ["", "{one}"]


def test_a_silent_registry_at_the_start_costs_one_wait(bus: ScriptedBus) -> None:
    bus.registry = False
    engine = Engine(bus)
    engine.connect()
    assert engine.service_id == "{one}"
    assert bus.time == pytest.approx(1000 + FIRST_WAIT)


def test_no_connection_is_clear_at_once(bus: ScriptedBus) -> None:
    bus.online = False
    with pytest.raises(NotConnectedError):
        Engine(bus).connect()
    assert bus.time == 1000.0


def test_no_answer_at_the_start_is_waited_for_within_bounds(bus: ScriptedBus) -> None:
    bus.instances["{one}"].hello = never
    with pytest.raises(NoAnswerError, match="20 seconds"):
        Engine(bus, options=EngineOptions(connect_timeout=20.0)).connect()
    assert 20 <= bus.time - 1000 < 21


def test_a_connection_lost_at_the_start_may_come_back(bus: ScriptedBus) -> None:
    bus.at(0.001, lambda: bus.cut(5.0))
    engine = Engine(bus)
    engine.connect()
    assert engine.service_id == "{one}"
    bus.at(0.001, lambda: bus.cut(500.0))
    with pytest.raises(NotConnectedError):
        Engine(bus).connect()


@pytest.mark.parametrize("cut_at", [0.0, 0.001, 0.011])
def test_a_connection_that_comes_back_at_the_start_is_used_at_once(
    bus: ScriptedBus, cut_at: float
) -> None:
    bus.at(cut_at, lambda: bus.cut(5.6))
    Engine(bus).connect()
    assert bus.time < 1005.6 + cut_at + 0.1
    during = [asked for asked in bus.asked if 1000 + cut_at < asked.at < 1005.6 + cut_at]
    assert during == []


def test_what_was_lost_with_the_connection_does_not_count_as_silence(bus: ScriptedBus) -> None:
    """After a long cut, as many lost messages may follow as without one."""
    bus.at(0.001, lambda: bus.cut(18.0))
    bus.lose = lambda asked: asked.verb == "hello" and bus.verbs().count("hello") <= 3
    Engine(bus, options=EngineOptions(connect_timeout=30.0)).connect()
    assert bus.time < 1028
    assert len(bus.asks_of(Verb.HELLO)) == 4


def test_who_is_chosen_does_not_depend_on_a_connection_lost_meanwhile(bus: ScriptedBus) -> None:
    bus.serve("{far}", "elsewhere")
    usual = {key: store_for(bus, key) for key in map(str, range(6))}
    assert len(set(usual.values())) == 2
    for key, store in usual.items():
        bus.at(0.016, lambda: bus.cut(6.0))  # between the answers to the two hellos
        bus.extra_delay = lambda asked: 0.01 if asked.service_id == "{far}" else 0.0
        assert store_for(bus, key) == store


def store_for(bus: ScriptedBus, key: str) -> str:
    return Engine(bus, key=key).connect().store_id


def test_a_connection_that_comes_back_in_a_search_is_used_at_once(bus: ScriptedBus) -> None:
    engine = Engine(bus)
    engine.connect()
    service = bus.instances.pop("{one}")
    bus.at(5.0, lambda: bus.cut(3.0))
    bus.at(7.9, lambda: bus.instances.update({"{two}": service}))
    job = Upload(1)
    engine.run([job])
    assert job.complete
    assert bus.time < 1008.1


def test_a_connection_that_is_lost_again_and_again_is_used_at_once(bus: ScriptedBus) -> None:
    engine = Engine(bus)
    engine.connect()
    bus.instances["{one}"].answer = never
    for number in range(6):
        bus.at(0.1 + 2.0 * number, lambda: bus.cut(1.0))
    with pytest.raises(NoAnswerError):
        engine.run([Upload(1)])
    hellos = [asked.at for asked in bus.asks_of(Verb.HELLO)]
    for number in range(6):
        back = 1001.1 + 2.0 * number
        assert any(back <= at < back + 0.1 for at in hellos)


def test_connecting_again_asks_nothing(bus: ScriptedBus) -> None:
    engine = Engine(bus)
    engine.connect()
    count = len(bus.asked)
    assert engine.connect().store_id == "store"
    engine.run([])
    assert len(bus.asked) == count


def test_before_there_is_a_service_nothing_is_known_of_it(bus: ScriptedBus) -> None:
    with pytest.raises(FileTransferError, match="connect"):
        _ = Engine(bus).hello


def test_a_restarted_service_is_found_and_the_jobs_begin_again(bus: ScriptedBus) -> None:
    bus.at(0.1, bus.instances.clear)
    bus.at(2.0, lambda: restart(bus))
    job = Upload(2000)
    engine = run(bus, job)
    assert job.complete
    assert job.moves == 1
    assert engine.service_id == "{two}"
    assert bus.time < 1005
    during = [asked for asked in bus.asks_of(Verb.SEGMENT) if 1000.2 < asked.at < 1002]
    assert during == []


def test_another_store_takes_over_after_a_while_only(bus: ScriptedBus) -> None:
    bus.serve("{far}", "elsewhere")
    for key in map(str, range(10)):
        bus.instances.pop("{one}", None)
        bus.serve("{one}")
        engine = Engine(bus, key=key)
        if engine.connect().store_id == "store":
            break
    bus.at(0.1, lambda: bus.instances.pop("{one}"))
    began, job = bus.time, Upload(2000)
    engine.run([job])
    assert job.complete
    assert engine.hello.store_id == "elsewhere"
    assert job.moves == 1
    assert 15.0 <= bus.time - began < 18.0


def test_the_clock_of_that_begins_when_there_is_a_connection(bus: ScriptedBus) -> None:
    bus.serve("{far}", "elsewhere")
    engine = Engine(bus, key="1")
    store = engine.connect().store_id
    mine, service = engine.service_id, bus.instances[engine.service_id]

    def outage() -> None:
        bus.cut(40.0)
        bus.instances.pop(mine)
        bus.at(42.0, lambda: bus.instances.update({"{again}": service}))

    bus.at(0.1, outage)
    job = Upload(2000)
    engine.run([job])
    assert job.complete
    assert engine.service_id == "{again}"
    assert engine.hello.store_id == store


def test_a_lost_connection_costs_no_more_than_repeats(bus: ScriptedBus) -> None:
    bus.at(0.05, lambda: bus.cut(3.0))
    job = Upload(200)
    run(bus, job)
    assert job.complete
    assert job.moves == 0
    assert 1003 < bus.time < 1004


def test_a_service_that_hangs_for_a_while_is_not_lost(bus: ScriptedBus) -> None:
    bus.lose = lambda _asked: 1000.05 < bus.time < 1020
    job = Upload(200)
    engine = run(bus, job)
    assert job.complete
    assert job.moves == 0
    assert engine.service_id == "{one}"
    assert bus.time < 1030


def test_a_service_that_is_only_slow_is_not_asked_everything_again(bus: ScriptedBus) -> None:
    """Its hello is quick, its work takes longer than the engine waits."""
    bus.extra_delay = lambda asked: 40.0 if asked.verb == "batch" else 0.0
    job = Upload(2, verb=Verb.BATCH)
    run(bus, job)
    assert job.complete
    assert job.moves == 0
    assert bus.verbs().count("hello") >= 2
    assert len(bus.asks_of(Verb.BATCH)) < 2 * (MOST_SILENCES + 4)


def test_a_service_that_ends_is_left_and_not_asked_again(bus: ScriptedBus) -> None:
    closing = RefusedError(ErrorCode.CLOSING, "the service is ending")

    def close() -> None:
        bus.instances["{one}"].answer = lambda _asked: closing

    bus.at(0.1, close)
    bus.at(4.0, lambda: bus.serve("{two}"))
    job = Upload(2000)
    engine = run(bus, job)
    assert job.complete
    assert engine.service_id == "{two}"
    after = [asked for asked in bus.asked if asked.at > 1000.3 and asked.service_id == "{one}"]
    assert after == []


def test_a_verb_that_nobody_serves_does_not_make_the_engine_spin(bus: ScriptedBus) -> None:
    missing = RefusedError(ErrorCode.NO_SERVICE, "unable to locate service")
    bus.instances["{one}"].answer = lambda _asked: missing
    with pytest.raises(NoAnswerError):
        run(bus, Upload(1))
    assert len(bus.asked) < 300


def test_a_service_that_does_not_come_back_ends_the_call(bus: ScriptedBus) -> None:
    bus.at(0.1, bus.instances.clear)
    jobs = list(uploads(3, segments=1000))
    with pytest.raises(NoAnswerError, match=r"unable to locate.*120 seconds.*asked"):
        run(bus, *jobs)
    assert all(isinstance(job.error, NoAnswerError) for job in jobs)
    assert 120 <= bus.time - 1000 < 122
    assert len([asked for asked in bus.asked if asked.at > 1000.2]) < 500


def test_a_connection_that_does_not_come_back_ends_the_call(bus: ScriptedBus) -> None:
    bus.at(0.1, lambda: bus.cut(1000))
    job = Upload(2000)
    with pytest.raises(NotConnectedError, match=r"3[01] seconds"):
        run(bus, job, patience=30.0)
    assert isinstance(job.error, NotConnectedError)


def test_a_connection_that_was_lost_between_two_calls_does_not_matter(bus: ScriptedBus) -> None:
    engine = Engine(bus)
    engine.run([Upload(1)])
    bus.time += 1000
    bus.cut(5.0)
    job = Upload(1)
    engine.run([job])
    assert job.complete


def test_it_is_found_where_the_registry_is_silent() -> None:
    bus = ScriptedBus(delay=0.1)
    bus.registry = False
    bus.serve("{one}")
    bus.at(1.5, lambda: restart(bus))
    job = Upload(5000)
    engine = run(bus, job)
    assert job.complete
    assert engine.service_id == "{two}"


class Faults:
    """What goes wrong by chance, the same for the same seed."""

    def __init__(self, bus: ScriptedBus, seed: int, probability: float) -> None:
        self._chance = Random(seed)
        self._probability = probability
        self._bus = bus
        self._names = itertools.count(2)
        bus.lose = bus.lose_reply = lambda _asked: self._happens()
        bus.copies = lambda _asked: 2 if self._happens() else 1
        bus.extra_delay = lambda _asked: 3 * self._chance.random() if self._happens() else 0.0
        self._prepare()
        bus.at(0.5, self._strike)

    def _happens(self) -> bool:
        return self._chance.random() < self._probability

    def _prepare(self) -> None:
        for instance in self._bus.instances.values():
            instance.answer = self._answer

    def _answer(self, _asked: Asked) -> Outcome:
        busy = RefusedError(ErrorCode.BUSY, "busy", self._chance.choice([None, 0.0, 0.3]))
        corrupt = RefusedError(ErrorCode.CORRUPT, "damaged")
        return self._chance.choice([damaged(), busy, corrupt, None]) if self._happens() else DONE

    def _strike(self) -> None:
        if self._happens():
            self._bus.cut(self._chance.random() * 3)
        if self._happens():
            restart(self._bus, old=next(iter(self._bus.instances)), new=f"{{{next(self._names)}}}")
            self._prepare()
        self._bus.at(0.5, self._strike)


@settings(max_examples=30, deadline=None)
@given(st.integers(), st.sampled_from([0.01, 0.1, 0.3]))
def test_every_job_is_done_whatever_happens(seed: int, probability: float) -> None:
    bus = ScriptedBus()
    bus.serve("{1}", window=10_000)
    # Many faults at once may keep the service from being found, or from answering, for long.
    engine = Engine(bus, options=EngineOptions(patience=3000.0))
    engine.connect()
    Faults(bus, seed, probability)
    jobs = list(uploads(6, segments=20))
    engine.run(jobs)
    assert all(job.complete for job in jobs)
    assert bus.outstanding == set()


def test_all_instances_are_known_and_another_one_can_be_used(bus: ScriptedBus) -> None:
    bus.serve("{far}", "elsewhere", window=5000)
    engine = Engine(bus)
    engine.connect()
    known = {each.service_id: each for each in engine.instances}
    assert sorted(known) == ["{far}", "{one}"]
    asked = len(bus.asked)
    for service_id in ("{far}", "{one}", "{far}"):
        engine.pin(known[service_id])
        assert (engine.service_id, engine.hello) == (service_id, known[service_id].hello)
        job = Upload(3)
        engine.run([job])
        assert job.complete
        assert {each.service_id for each in bus.asked[-3:]} == {service_id}
    assert len(bus.asked) == asked + 9
    assert engine.window <= 5000


def test_no_other_instance_can_be_used_while_jobs_are_under_way(bus: ScriptedBus) -> None:
    bus.serve("{far}", "elsewhere")
    engine = Engine(bus)
    engine.connect()
    with pytest.raises(RuntimeError, match="under way"):
        engine.run([Upload(1)], each_round=lambda: engine.pin(engine.instances[0]))


def test_an_instance_that_is_gone_when_it_is_to_be_used_is_looked_for(bus: ScriptedBus) -> None:
    bus.serve("{far}", "elsewhere")
    engine = Engine(bus)
    engine.connect()
    (far,) = (each for each in engine.instances if each.service_id == "{far}")
    restart(bus, old="{far}", new="{further}", store="elsewhere")
    engine.pin(far)
    job = Upload(1)
    engine.run([job])
    assert job.complete
    assert engine.service_id == "{further}"
    assert sorted(each.service_id for each in engine.instances) == ["{further}", "{one}"]
