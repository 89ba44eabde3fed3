"""Services and brokers on a memory bus."""

import pytest

from dxlfabric.topics import SERVICE_QUERY
from dxlfiletransferclient.constants import (
    SERVICE_TYPE,
)
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import (
    HelloAnswer,
    HelloRequest,
    OpenRequest,
    SegmentRequest,
    StatusRequest,
    TransferAnswer,
)
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import STORE_VERBS, Verb, topic_of
from dxlfiletransferclient.testing import (
    EPOCH,
    Direction,
    MemoryBus,
    MemoryStore,
)
from tests.unit.client.memoryfabric import (
    SEGMENT,
    answer_to,
    ask,
    hello,
    hello_codes,
    only,
    open_file,
    services_on,
    store_of,
)


def test_nobody_serves() -> None:
    bus = MemoryBus()
    hello(bus)
    reply = only(bus)
    assert reply.refusal is not None
    assert reply.refusal.means(ErrorCode.NO_SERVICE)
    assert (reply.service_id, reply.parcel) == ("", Parcel({}))


def test_a_service_serves_its_own_topics_only() -> None:
    bus = MemoryBus()
    service = bus.serve(store_of(), "/mine", verbs=frozenset({Verb.LIST}))
    assert hello_codes(bus) is ErrorCode.NO_SERVICE
    assert hello_codes(bus, service.service_id) is ErrorCode.NO_SERVICE
    bus.ask(topic_of(Verb.HELLO, "/mine"), encode(HelloRequest()))
    assert decode(HelloAnswer, only(bus).parcel).verbs == "hello list"
    bus.ask(topic_of(Verb.OPEN, "/mine"), encode(OpenRequest(file_id="f", name="a")))
    refusal = only(bus).refusal
    assert refusal is not None
    assert refusal.means(ErrorCode.NO_SERVICE)


def test_requests_go_round_unless_they_name_an_instance() -> None:
    bus = MemoryBus()
    first, second = bus.serve(store_of("a")), bus.serve(store_of("b"))
    assert bus.services == (first, second)
    answered = []
    for service_id in ("", "", first.service_id, first.service_id, "", ""):
        hello(bus, service_id)
        answered.append(only(bus).service_id)
    one, two = first.service_id, second.service_id
    assert answered == [one, two, one, one, one, two]


def test_two_stores_have_two_ids() -> None:
    bus = MemoryBus()
    store = store_of("a")
    bus.serve(store)
    bus.serve(store)
    with pytest.raises(ValueError, match="two stores have the id 'a'"):
        bus.serve(store_of("a"))


def test_the_registry_tells_the_services() -> None:
    bus = MemoryBus()
    assert services_on(bus) == {}
    first, second = bus.serve(store_of("a")), bus.serve(store_of("b"), "/mine")
    for query in ({}, {"serviceType": SERVICE_TYPE}):
        assert services_on(bus, query).keys() == {first.service_id, second.service_id}
    found = services_on(bus, {"serviceGuid": second.service_id})
    assert found.keys() == {second.service_id}
    channels = found[second.service_id]["requestChannels"]
    assert isinstance(channels, list)
    assert set(channels) == {"/mine", *(topic_of(verb, "/mine") for verb in STORE_VERBS)}
    assert services_on(bus, {"serviceType": "/other"}) == {}
    assert bus.log.of("registry").requests == 5


@pytest.mark.parametrize("payload", [b"{", b"1", b"[]", b"null", b"\xff"])
def test_what_is_no_query_gets_no_answer(payload: bytes) -> None:
    bus = MemoryBus()
    bus.ask(SERVICE_QUERY, Parcel({}, payload))
    assert bus.wait(60) == ()


def test_a_crashed_service_is_found_out_by_the_first_request() -> None:
    bus = MemoryBus()
    first, second = bus.serve(store_of("a")), bus.serve(store_of("b"))
    first.crash()
    assert first.service_id in services_on(bus)
    assert hello_codes(bus, first.service_id) is ErrorCode.NO_SERVICE
    assert services_on(bus).keys() == {second.service_id}
    assert [hello_codes(bus) for _ in range(3)] == [None] * 3


def test_what_is_in_flight_to_and_from_a_crashed_service_is_lost() -> None:
    bus = MemoryBus()
    service = bus.serve(store_of())
    hello(bus)
    service.crash()
    assert bus.wait(30) == ()
    service.restart()
    hello(bus)
    bus.when(Verb.HELLO, service.crash, direction=Direction.ANSWER)
    assert bus.wait(60) == ()
    counted = bus.log.of(Verb.HELLO)
    assert (counted.requests, counted.delivered, counted.received, counted.lost) == (2, 1, 0, 2)


def test_a_restarted_service_has_another_id_and_what_was_durable() -> None:
    bus = MemoryBus()
    service = bus.serve(store_of(checkpoint_bytes=20))
    old = service.service_id
    answer_to(bus, Verb.OPEN, OpenRequest(file_id="f", name="a"), TransferAnswer)
    for offset in (0, 10, 20):
        segment = SegmentRequest(file_id="f", offset=offset, payload=bytes(10))
        ask(bus, Verb.SEGMENT, segment)
        bus.wait(bus.now() + 0.1)
    service.crash()
    service.restart()
    assert service.service_id != old
    assert service.service_id in services_on(bus)
    assert hello_codes(bus, old) is ErrorCode.NO_SERVICE
    answer = answer_to(bus, Verb.STATUS, StatusRequest(file_id="f"), TransferAnswer)
    assert (answer.held, answer.durable) == (((0, 20),), ((0, 20),))


def test_a_restarted_service_may_have_another_store() -> None:
    bus = MemoryBus()
    service = bus.serve(store_of("a"))
    service.stop()
    assert services_on(bus) == {}
    service.restart(store_of("b"))
    assert answer_to(bus, Verb.HELLO, HelloRequest(), HelloAnswer).store_id == "b"


def test_a_stopped_service_forgets_nothing() -> None:
    bus = MemoryBus()
    service = bus.serve(store_of())
    open_file(bus)
    answer_to(bus, Verb.SEGMENT, SEGMENT, TransferAnswer)
    service.stop()
    service.restart()
    answer = answer_to(bus, Verb.STATUS, StatusRequest(file_id="f"), TransferAnswer)
    assert answer.durable == ((0, 10),)


def test_a_service_that_left_comes_back_as_it_was() -> None:
    bus = MemoryBus()
    service = bus.serve(store_of())
    old = service.service_id
    open_file(bus)
    answer_to(bus, Verb.SEGMENT, SEGMENT, TransferAnswer)
    service.leave()
    assert services_on(bus) == {}
    assert hello_codes(bus) is ErrorCode.NO_SERVICE
    service.come_back()
    assert service.service_id == old
    answer = answer_to(bus, Verb.STATUS, StatusRequest(file_id="f"), TransferAnswer)
    assert (answer.held, answer.durable) == (((0, 10),), ((0, 10),))


def test_a_hanging_service_answers_nothing() -> None:
    bus = MemoryBus()
    store = store_of()
    service = bus.serve(store)
    service.hang()
    ask(bus, Verb.OPEN, OpenRequest(file_id="f", name="a"))
    assert bus.wait(60) == ()
    assert store.under_way == frozenset()
    service.hang(hanging=False)
    assert hello_codes(bus) is None


def test_a_service_refuses_what_it_is_told_to() -> None:
    bus = MemoryBus()
    service = bus.serve(store_of())
    service.refuse(Verb.HELLO, RefusedError(ErrorCode.BUSY, "later", 0.5), skip=1, count=2)
    busy = ErrorCode.BUSY
    assert [hello_codes(bus) for _ in range(5)] == [None, busy, busy, None, None]
    assert bus.log.of(Verb.HELLO).refusals == 2


def test_a_refusal_comes_with_all_it_says() -> None:
    bus = MemoryBus()
    service = bus.serve(store_of())
    service.refuse(Verb.HELLO, RefusedError(ErrorCode.BUSY, "later", 0.5))
    hello(bus)
    reply = only(bus)
    assert reply.refusal is not None
    assert (str(reply.refusal), reply.refusal.retry_after) == ("later", 0.5)
    assert reply.service_id == service.service_id


def test_a_bug_of_a_store_goes_to_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_store: object, _request: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(MemoryStore, "status", fail)
    bus = MemoryBus()
    bus.serve(MemoryStore())
    ask(bus, Verb.STATUS, StatusRequest(file_id="f"))
    with pytest.raises(ZeroDivisionError):
        bus.wait(10)


def test_stores_are_maintained() -> None:
    times: list[float] = []

    class Watched(MemoryStore):
        def maintain(self, now: float) -> None:
            times.append(now)
            super().maintain(now)

    bus = MemoryBus()
    service = bus.serve(Watched())
    bus.run(2.5)
    service.crash()
    bus.run(2)
    assert times == [EPOCH, EPOCH + 1, EPOCH + 2]
