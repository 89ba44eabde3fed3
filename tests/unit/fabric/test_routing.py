import json

import pytest

from dxlfabric import topics
from dxlfabric.envelope import CERTIFICATES_FIELD
from dxlfabric.message import ErrorResponse, Event, Request, Response, encode
from dxlfabric.mqtt import Publish
from dxlfabric.routing import SERVICE_NOT_FOUND
from tests.unit.fabric.fabricfixtures import (
    BROKER,
    Fabric,
    only_error,
    only_response,
    packets,
    received,
    reply_topic,
)


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


def test_an_event_goes_once_to_each_subscriber(fabric: Fabric) -> None:
    one = fabric.join("one", "/a/#", "/a/b")
    two = fabric.join("two", "/a/b")
    fabric.join("three", "/c")
    found = fabric.send(one, "/a/b", Event(message_id="{1}", payload=b"x"))
    assert {name: len(sent) for name, sent in found.items()} == {one: 1, two: 1}


def test_the_stamps_of_the_broker_cannot_be_forged(fabric: Fabric) -> None:
    sender = fabric.join("mallory")
    listener = fabric.join("one", "/a")
    forged = Event(
        message_id="{1}",
        source_client_id="alice",
        source_broker_id="elsewhere",
        source_client_instance="alice:1",
        other_fields={"mine": "1", CERTIFICATES_FIELD: "ca;alice"},
        version=3,
    )
    (event,) = fabric.send(sender, "/a", forged)[listener]
    assert event.source_client_id == "mallory"
    assert event.source_client_instance == sender
    assert event.source_broker_id == BROKER
    assert list(event.other_fields.items()) == [(CERTIFICATES_FIELD, "ca;mallory"), ("mine", "1")]


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_every_version_is_taken_and_leaves_as_the_newest(fabric: Fabric, version: int) -> None:
    sender = fabric.join("one")
    listener = fabric.join("two", "/a")
    (event,) = fabric.send(sender, "/a", Event(message_id="{1}", version=version))[listener]
    assert event.version == 3


def test_the_payload_goes_out_from_where_it_came_in(fabric: Fabric) -> None:
    sender = fabric.join("one")
    fabric.join("two", "/a")
    data = encode(Event(message_id="{1}", payload=b"x" * 50_000)).join()
    (delivery,) = fabric.router.publish(sender, Publish("/a", memoryview(data)), fabric.now)
    (payload,) = [piece for piece in delivery.pieces if len(piece) == 50_000]
    assert isinstance(payload, memoryview)
    assert payload.obj is data


def test_a_small_message_goes_out_in_one_piece(fabric: Fabric) -> None:
    sender = fabric.join("one")
    fabric.join("two", "/a")
    data = encode(Event(message_id="{1}", payload=b"small")).join()
    (delivery,) = fabric.router.publish(sender, Publish("/a", memoryview(data)), fabric.now)
    assert len(delivery.pieces) == 1


def test_a_client_that_comes_back_has_another_stamp(fabric: Fabric) -> None:
    listener = fabric.join("listener", "/a")
    for connection in (1, 2):
        sender = fabric.join("one", connection=connection)
        (event,) = fabric.send(sender, "/a", Event(message_id="{1}"))[listener]
        assert event.source_client_instance == sender
        fabric.router.disconnect(sender)


def test_an_event_for_named_clients_goes_to_them_alone(fabric: Fabric) -> None:
    sender = fabric.join("one")
    first = fabric.join("two", "/a", connection=1)
    second = fabric.join("two", "/a", connection=2)
    fabric.join("three", "/a")
    to_client = Event(message_id="{1}", client_ids=("two",))
    assert set(fabric.send(sender, "/a", to_client)) == {first, second}
    to_instance = Event(message_id="{1}", client_ids=(second,))
    assert set(fabric.send(sender, "/a", to_instance)) == {second}


def test_an_event_for_another_broker_stays_away(fabric: Fabric) -> None:
    sender = fabric.join("one", "/a")
    assert fabric.send(sender, "/a", Event(message_id="{1}", broker_ids=("other",))) == {}
    assert set(fabric.send(sender, "/a", Event(message_id="{1}", broker_ids=(BROKER,)))) == {sender}


def test_what_is_no_dxl_message_is_relayed_as_it_is(fabric: Fabric) -> None:
    sender = fabric.join("one")
    listener = fabric.join("two", "/a")
    found = packets(fabric.router.publish(sender, Publish("/a", b"plain"), fabric.now))
    assert [bytes(packet.payload) for packet in found[listener]] == [b"plain"]


@pytest.mark.parametrize("qos", [1, 2])
def test_higher_quality_of_service_is_dropped(fabric: Fabric, qos: int) -> None:
    sender = fabric.join("one", "/a")
    assert fabric.router.publish(sender, Publish("/a", b"x", qos, packet_id=1), fabric.now) == []


def test_retain_is_ignored(fabric: Fabric) -> None:
    sender = fabric.join("one", "/a")
    found = packets(fabric.router.publish(sender, Publish("/a", b"x", retain=True), fabric.now))
    assert not found[sender][0].retain
    late = fabric.router.subscribe(fabric.join("two"), "/a")
    assert received(late) == {}


def test_nobody_but_the_broker_publishes_its_events(
    fabric: Fabric, caplog: pytest.LogCaptureFixture
) -> None:
    sender = fabric.join("one", "/mcafee/event/dxl/#")
    assert fabric.send(sender, topics.SERVICE_REGISTERED, Event(message_id="{1}")) == {}
    assert "client one published on /mcafee/event/dxl/svcregistry/register" in caplog.text


def test_requests_go_round(fabric: Fabric) -> None:
    client = fabric.join("client")
    instances = [fabric.join(name) for name in ("a", "b", "c")]
    for instance in instances:
        fabric.register(instance, f"{{{instance}}}", "/t")
    chosen = [next(iter(fabric.ask(client, "/t", b"x"))) for _ in range(6)]
    assert chosen == instances * 2


def test_a_request_tells_the_service_who_was_chosen(fabric: Fabric) -> None:
    client = fabric.join("client")
    service = fabric.join("service")
    fabric.register(service, "{s}", "/t")
    (request,) = fabric.ask(client, "/t", b"x")[service]
    assert isinstance(request, Request)
    assert (request.service_id, request.broker_ids, request.client_ids) == (
        "{s}",
        (BROKER,),
        (service,),
    )
    assert request.reply_to_topic == reply_topic(client)


def test_a_pinned_request_goes_to_its_instance(fabric: Fabric) -> None:
    client = fabric.join("client")
    one, two = fabric.join("one"), fabric.join("two")
    fabric.register(one, "{1}", "/t")
    fabric.register(two, "{2}", "/t")
    for _ in range(3):
        assert set(fabric.ask(client, "/t", b"x", service_id="{2}")) == {two}


def test_a_subscriber_without_registration_gets_no_requests(fabric: Fabric) -> None:
    client = fabric.join("client")
    fabric.join("listener", "/t")
    error = only_error(fabric.ask(client, "/t", b"x"), client)
    assert (error.error_code, error.error_message) == (
        SERVICE_NOT_FOUND,
        "unable to locate service for request",
    )
    assert (error.request_message_id, error.service_id) == ("{r}", "")


@pytest.mark.parametrize("service_id", ["{nobody}", "{s}"])
def test_a_pin_that_does_not_fit_is_not_found_and_harms_nobody(
    fabric: Fabric, service_id: str
) -> None:
    client = fabric.join("client")
    service = fabric.join("service")
    fabric.register(service, "{s}", "/t")
    error = only_error(fabric.ask(client, "/other", b"x", service_id=service_id), client)
    assert error.service_id == service_id
    assert set(fabric.services(client)) == {"{s}"}


def test_the_first_request_to_a_vanished_instance_fails_and_the_rest_go_on(fabric: Fabric) -> None:
    client = fabric.join("client", topics.SERVICE_UNREGISTERED)
    gone, alive = fabric.join("gone"), fabric.join("alive")
    fabric.register(gone, "{gone}", "/t")
    fabric.register(alive, "{alive}", "/t")
    fabric.router.disconnect(gone)
    error, notice = fabric.ask(client, "/t", b"x")[client]
    assert isinstance(error, ErrorResponse)
    assert (error.error_code, error.service_id) == (SERVICE_NOT_FOUND, "{gone}")
    assert json.loads(bytes(notice.payload)) == {"serviceGuid": "{gone}"}
    for _ in range(3):
        assert set(fabric.ask(client, "/t", b"x")) == {alive}


def test_an_instance_that_stopped_listening_is_not_found(fabric: Fabric) -> None:
    client = fabric.join("client")
    service = fabric.join("service")
    fabric.register(service, "{s}", "/t")
    fabric.router.unsubscribe(service, "/t")
    assert only_error(fabric.ask(client, "/t", b"x"), client).service_id == "{s}"
    assert fabric.services(client) == {}


def test_a_request_for_another_broker_is_not_found(fabric: Fabric) -> None:
    client = fabric.join("client")
    fabric.register(fabric.join("service"), "{s}", "/t")
    only_error(fabric.ask(client, "/t", b"x", broker_ids=("other",)), client)


def test_a_response_goes_to_the_client_that_asked(fabric: Fabric) -> None:
    client = fabric.join("client")
    spy = fabric.join("spy", topics.REPLY_PREFIX + "#")
    service = fabric.join("service")
    response = Response(
        message_id="{1}", client_ids=("client",), broker_ids=(BROKER,), request_message_id="{r}"
    )
    assert spy not in fabric.send(service, reply_topic(client), response)
    assert client in fabric.send(service, reply_topic(client), response)


def test_a_request_without_a_way_back_is_not_answered(fabric: Fabric) -> None:
    client = fabric.join("client")
    assert fabric.send(client, "/t", Request(message_id="{r}")) == {}


def test_an_answer_of_the_broker_goes_to_the_asker_alone(fabric: Fabric) -> None:
    asker, other = fabric.join("asker"), fabric.join("other")
    request = Request(message_id="{r}", payload=b"{}", reply_to_topic=reply_topic(other))
    assert fabric.send(asker, topics.SERVICE_QUERY, request) == {}


def test_a_service_that_disowns_itself_is_removed(fabric: Fabric) -> None:
    client = fabric.join("client")
    service = fabric.join("service")
    fabric.register(service, "{s}", "/t")
    error = ErrorResponse(
        message_id="{1}", service_id="{s}", error_code=0x80000001, error_message="unable"
    )
    fabric.send(service, reply_topic(client), error)
    assert fabric.services(client) == {}


def test_nobody_else_can_disown_a_service(fabric: Fabric) -> None:
    mallory = fabric.join("mallory")
    fabric.register(fabric.join("service"), "{s}", "/t")
    for code in (0x80000001, SERVICE_NOT_FOUND):
        error = ErrorResponse(message_id="{1}", service_id="{s}", error_code=code)
        fabric.send(mallory, reply_topic(mallory), error)
    assert set(fabric.services(mallory)) == {"{s}"}


def test_topics_are_announced_when_they_come_and_go(fabric: Fabric) -> None:
    watcher = fabric.join("watcher", "/mcafee/event/dxl/brokerregistry/#")
    other = fabric.join("other")
    (added,) = received(fabric.router.subscribe(other, "/t"))[watcher]
    assert json.loads(bytes(added.payload)) == {"topic": "/t"}
    assert added.other_fields["changeCount"] == "2"
    assert received(fabric.router.subscribe(watcher, "/t")) == {}
    assert received(fabric.router.unsubscribe(watcher, "/t")) == {}
    (removed,) = received(fabric.router.disconnect(other))[watcher]
    assert json.loads(bytes(removed.payload)) == {"topic": "/t"}


def test_reply_topics_are_not_announced(fabric: Fabric) -> None:
    fabric.join("watcher", "/mcafee/event/dxl/brokerregistry/#")
    other = fabric.join("other")
    assert received(fabric.router.subscribe(other, topics.REPLY_PREFIX + "x")) == {}
    assert received(fabric.router.disconnect(other)) == {}


def test_what_is_not_renewed_runs_out(fabric: Fabric) -> None:
    watcher = fabric.join("watcher", topics.SERVICE_UNREGISTERED)
    service = fabric.join("service")
    fabric.register(service, "{s}", "/t", ttlMins=10)
    assert fabric.router.sweep(fabric.now + 19 * 60) == []
    (notice,) = received(fabric.router.sweep(fabric.now + 20 * 60))[watcher]
    assert json.loads(bytes(notice.payload)) == {"serviceGuid": "{s}"}
    only_error(fabric.ask(watcher, "/t", b"x"), watcher)


def test_the_answer_to_a_registration_is_empty(fabric: Fabric) -> None:
    service = fabric.join("service")
    answer = only_response(fabric.register(service, "{s}", "/t"), service)
    assert bytes(answer.payload) == b""
    assert answer.client_ids == (service,)
