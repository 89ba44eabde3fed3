"""What goes wrong on a memory bus, by chance or by plan, and what is counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dxlfiletransferclient.constants import (
    DEFAULT_STORE_TOPIC,
)
from dxlfiletransferclient.protocol.coding import decode
from dxlfiletransferclient.protocol.messages import (
    OpenRequest,
    SegmentRequest,
    TransferAnswer,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.testing import (
    Direction,
    Event,
    Faults,
    Harm,
    LogEntry,
    MemoryBus,
    MemoryService,
)
from tests.unit.client.memoryfabric import (
    SEGMENT,
    answer_to,
    ask,
    hello,
    hello_codes,
    only,
    open_file,
    store_of,
)


@pytest.mark.parametrize("direction", Direction)
def test_a_planned_loss_happens_when_it_is_due(direction: Direction) -> None:
    bus = MemoryBus()
    bus.serve(store_of())
    bus.harm(Verb.HELLO, Harm.LOSE, direction=direction, skip=1, count=2)
    came = []
    for _ in range(5):
        hello(bus)
        came.append(len(bus.wait(bus.now() + 5)))
    assert came == [1, 0, 0, 1, 1]
    assert bus.log.of(Verb.HELLO).lost == 2
    delivered = 3 if direction is Direction.REQUEST else 5
    assert bus.log.of(Verb.HELLO).delivered == delivered


def test_a_planned_duplicate_arrives_twice() -> None:
    bus = MemoryBus()
    bus.serve(store_of())
    bus.harm(Verb.HELLO, Harm.DUPLICATE)
    token = hello(bus)
    bus.run(5)
    assert [reply.token for reply in bus.wait(5)] == [token, token]
    assert (bus.log.of(Verb.HELLO).requests, bus.log.of(Verb.HELLO).delivered) == (1, 2)


def test_a_planned_delay_lets_others_overtake() -> None:
    bus = MemoryBus()
    bus.serve(store_of())
    bus.harm(Verb.HELLO, Harm.REORDER, direction=Direction.ANSWER)
    first, second = hello(bus), hello(bus)
    bus.run(5)
    assert [reply.token for reply in bus.wait(5)] == [second, first]


def test_without_faults_nothing_is_overtaken() -> None:
    bus = MemoryBus(faults=Faults(delay=(0.001, 5)))
    bus.serve(store_of())
    tokens = [hello(bus) for _ in range(50)]
    bus.run(60)
    assert [reply.token for reply in bus.wait(60)] == tokens


def test_planned_damage_of_a_request_is_refused() -> None:
    bus = MemoryBus()
    bus.serve(store_of())
    open_file(bus)
    bus.harm(Verb.SEGMENT, Harm.CORRUPT)
    ask(bus, Verb.SEGMENT, SEGMENT)
    refusal = only(bus).refusal
    assert refusal is not None
    assert refusal.means(ErrorCode.CORRUPT)


@pytest.mark.parametrize("size", [1000, 2000])
def test_planned_damage_of_an_answer_is_noticed(size: int) -> None:
    """The answer is damaged, whether it is an error or not."""
    bus = MemoryBus()
    bus.serve(store_of())
    open_file(bus)
    bus.harm(Verb.OPEN, Harm.CORRUPT, direction=Direction.ANSWER)
    ask(bus, Verb.OPEN, OpenRequest(file_id="f", name="a", size=size))
    reply = only(bus)
    if reply.refusal is None:
        with pytest.raises(RefusedError) as caught:
            decode(TransferAnswer, reply.parcel)
        assert caught.value.means(ErrorCode.CORRUPT)
    else:
        assert size == 2000
        assert reply.refusal.means(ErrorCode.CORRUPT)


def test_a_planned_cut_loses_the_message() -> None:
    bus = MemoryBus(faults=Faults(cut_seconds=7))
    bus.serve(store_of())
    bus.harm(Verb.HELLO, Harm.CUT)
    hello(bus)
    assert not bus.connected
    assert bus.wait(60) == ()
    assert bus.now() == 7


def test_something_is_done_just_before_a_message_arrives() -> None:
    bus = MemoryBus()
    store = store_of()
    bus.serve(store)
    seen: list[int] = []
    bus.when(Verb.OPEN, lambda: seen.append(len(store.under_way)), skip=1)
    for number in range(3):
        ask(bus, Verb.OPEN, OpenRequest(file_id=f"f{number}", name=f"{number}"))
    bus.run(1)
    assert seen == [1]


def test_bandwidth_is_shared_by_all_messages() -> None:
    bus = MemoryBus(bandwidth=100_000, faults=Faults(delay=(0, 0)))
    bus.serve(store_of())
    answer_to(bus, Verb.OPEN, OpenRequest(file_id="f", name="a"), TransferAnswer)
    begun = bus.now()
    for offset in range(0, 500_000, 100_000):
        ask(bus, Verb.SEGMENT, SegmentRequest(file_id="f", offset=offset, payload=bytes(100_000)))
    got = 0
    while got < 5:
        got += len(bus.wait(bus.now() + 10))
    assert 5 < bus.now() - begun < 5.1


def test_what_travels_is_counted_and_written_down() -> None:
    bus = MemoryBus()
    service = bus.serve(store_of())
    open_file(bus)
    bus.log.clear()
    bus.harm(Verb.SEGMENT, Harm.DUPLICATE)
    ask(bus, Verb.SEGMENT, SEGMENT)
    bus.run(1)
    counted = bus.log.of(Verb.SEGMENT)
    assert (counted.requests, counted.request_bytes) == (1, 10)
    assert (counted.delivered, counted.delivered_bytes) == (2, 20)
    assert (counted.answers, counted.received, counted.lost) == (2, 2, 0)
    assert bus.log.counted.keys() == {"segment"}
    assert bus.log.entries[0] == LogEntry(
        time=bus.log.entries[0].time,
        event=Event.SENT,
        direction=Direction.REQUEST,
        name="segment",
        service_id=service.service_id,
        payload=10,
    )


def test_everything_that_is_sent_arrives_or_is_lost() -> None:
    bus = MemoryBus(seed=3, faults=Faults(lose=0.2, duplicate=0.2, cut=0.02, cut_seconds=0.1))
    service = bus.serve(store_of())
    bus.at(1, service.crash)
    bus.at(2, service.restart)
    for _ in range(500):
        if bus.connected:
            hello(bus)
        bus.run(0.01)
    bus.run(5)
    counted = bus.log.of(Verb.HELLO)
    assert counted.lost > 50
    assert counted.delivered + counted.received + counted.lost > counted.requests + counted.answers
    assert counted.received <= counted.answers * 2


@pytest.mark.parametrize(
    "faults", [{"lose": 1.1}, {"cut": -0.1}, {"delay": (2, 1)}, {"delay": (-1, 1)}]
)
def test_faults_are_probabilities(faults: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Faults(**faults)  # type: ignore[arg-type]


def test_faults_may_change() -> None:
    bus = MemoryBus(faults=Faults(lose=1))
    bus.serve(store_of())
    hello(bus)
    assert bus.wait(5) == ()
    bus.faults = Faults()
    assert bus.faults.harms == ()
    assert hello_codes(bus) is None


def life_of(seed: int, faults: Faults) -> tuple[list[LogEntry], list[object]]:
    """Return all that happens on a bus with these faults."""
    bus = MemoryBus(seed=seed, faults=faults)
    service: MemoryService = bus.serve(store_of())
    bus.at(0.5, service.crash)
    bus.at(0.7, service.restart)
    replies: list[object] = []
    for number in range(60):
        if bus.connected:
            ask(bus, Verb.OPEN, OpenRequest(file_id=f"f{number}", name=f"{number}"))
        replies += [
            (reply.token, dict(reply.parcel.fields), str(reply.refusal))
            for reply in bus.wait(bus.now() + 0.02)
        ]
    return list(bus.log.entries), replies


FAULTS = Faults(lose=0.1, duplicate=0.1, reorder=0.1, corrupt=0.1, cut=0.02, cut_seconds=0.05)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_life(seed: int) -> None:
    assert life_of(seed, FAULTS) == life_of(seed, FAULTS)


def test_another_seed_gives_another_life() -> None:
    assert life_of(1, FAULTS) != life_of(2, FAULTS)


def test_every_harm_happens() -> None:
    bus = MemoryBus(seed=5, faults=FAULTS)
    bus.serve(store_of())
    codes = set()
    tokens: list[int] = []
    cuts = 0
    for _ in range(500):
        if bus.connected:
            hello(bus)
        cuts += not bus.connected
        for reply in bus.wait(bus.now() + 0.01):
            tokens.append(reply.token)
            codes.add(reply.refusal and ErrorCode.of(reply.refusal.code))
    assert codes == {None, ErrorCode.CORRUPT}
    assert len(tokens) > len(set(tokens))
    assert tokens != sorted(tokens)
    assert bus.log.of(Verb.HELLO).lost > 20
    assert cuts > 5
    assert DEFAULT_STORE_TOPIC in next(iter(bus.services)).store_topic
