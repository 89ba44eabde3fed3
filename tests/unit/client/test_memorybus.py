"""The bus itself: time, replies, connections."""

from collections.abc import Callable

import pytest

from dxlfiletransferclient import NotConnectedError
from dxlfiletransferclient.constants import (
    MAX_SEGMENT_SIZE,
    MESSAGE_LIMIT,
)
from dxlfiletransferclient.protocol.coding import decode
from dxlfiletransferclient.protocol.messages import (
    HelloAnswer,
    OpenRequest,
    SegmentRequest,
    StatusRequest,
    TransferAnswer,
)
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from dxlfiletransferclient.testing import (
    EPOCH,
    EndOfTimeError,
    Faults,
    MemoryBus,
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


def test_a_request_is_answered() -> None:
    bus = MemoryBus()
    service = bus.serve(store_of("mine"))
    token = hello(bus)
    reply = only(bus)
    assert (reply.token, reply.refusal, reply.service_id) == (token, None, service.service_id)
    assert decode(HelloAnswer, reply.parcel).store_id == "mine"


def test_time_passes_only_while_somebody_waits() -> None:
    bus = MemoryBus(faults=Faults(delay=(2, 2)))
    bus.serve(store_of())
    assert bus.now() == 0
    hello(bus)
    assert bus.wait(3.5) == ()
    assert bus.now() == 3.5
    assert len(bus.wait(10)) == 1
    assert (bus.now(), bus.time()) == (4, EPOCH + 4)


def test_replies_may_be_collected_without_waiting() -> None:
    bus = MemoryBus()
    bus.serve(store_of())
    hello(bus)
    assert bus.wait(bus.now()) == ()
    bus.run(1)
    assert len(bus.wait(0)) == 1
    assert bus.now() == 1


def test_a_wait_ends_with_a_wake() -> None:
    bus = MemoryBus()
    bus.at(3, bus.wake)
    assert bus.wait(10) == ()
    assert bus.now() == 3
    bus.wake()
    bus.wait(10)
    assert bus.now() == 3
    bus.wait(10)
    assert bus.now() == 10


def test_what_is_forgotten_does_not_come() -> None:
    bus = MemoryBus()
    bus.serve(store_of())
    early, late = hello(bus), hello(bus)
    bus.forget(early)
    assert only(bus).token == late
    late = hello(bus)
    bus.run(1)
    bus.forget(late)
    assert bus.wait(5) == ()
    assert bus.log.of(Verb.HELLO).answers == 3


def test_requests_are_copied_when_they_are_sent() -> None:
    bus = MemoryBus()
    store = store_of()
    bus.serve(store)
    open_file(bus)
    payload = bytearray(b"0123")
    ask(bus, Verb.SEGMENT, SegmentRequest(file_id="f", offset=0, payload=payload))
    payload[:] = b"xxxx"
    assert only(bus).refusal is None


def test_a_message_that_is_too_large_is_an_error() -> None:
    bus = MemoryBus()
    with pytest.raises(ValueError, match="over the limit"):
        bus.ask(topic_of(Verb.SEGMENT), Parcel({}, bytes(MESSAGE_LIMIT)))


def test_the_largest_segment_goes_through() -> None:
    bus = MemoryBus()
    bus.serve(store_of())
    size = MAX_SEGMENT_SIZE
    answer_to(bus, Verb.OPEN, OpenRequest(file_id="f", name="a", size=size), TransferAnswer)
    segment = SegmentRequest(file_id="f", offset=0, payload=bytes(size))
    assert answer_to(bus, Verb.SEGMENT, segment, TransferAnswer).held == ((0, size),)


def test_a_connection_that_is_cut_loses_everything_and_comes_back() -> None:
    bus = MemoryBus()
    bus.serve(store_of())
    hello(bus)
    bus.cut(2.5)
    with pytest.raises(NotConnectedError):
        hello(bus)
    assert bus.wait(10) == ()
    assert (bus.now(), bus.connected) == (2.5, True)
    assert hello_codes(bus) is None
    assert bus.log.of(Verb.HELLO).lost == 1


def test_a_wait_ends_when_the_connection_is_cut() -> None:
    bus = MemoryBus()
    bus.at(3, bus.cut)
    assert bus.wait(10) == ()
    assert (bus.now(), bus.connected) == (3, False)


def test_nothing_of_a_process_that_died_is_answered_but_all_is_done() -> None:
    bus = MemoryBus()
    store = store_of()
    bus.serve(store)
    open_file(bus)
    ask(bus, Verb.SEGMENT, SEGMENT)
    bus.abandon()
    assert bus.wait(60) == ()
    answer = answer_to(bus, Verb.STATUS, StatusRequest(file_id="f"), TransferAnswer)
    assert answer.held == ((0, 10),)


@pytest.mark.parametrize("wait", [lambda bus: bus.wait(1e9), lambda bus: bus.run(1e9)])
def test_time_comes_to_an_end(wait: Callable[[MemoryBus], object]) -> None:
    bus = MemoryBus(end=100)
    with pytest.raises(EndOfTimeError, match="100 s"):
        wait(bus)


def test_events_come_to_an_end() -> None:
    bus = MemoryBus(max_events=50)
    with pytest.raises(EndOfTimeError, match="50 events"):
        bus.run(1000)


def test_an_endless_loop_at_one_moment_is_noticed() -> None:
    bus = MemoryBus()

    def wait_for_nothing() -> None:
        while True:
            bus.wait(bus.now())

    with pytest.raises(EndOfTimeError, match="stands still"):
        wait_for_nothing()
