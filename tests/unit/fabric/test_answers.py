import json
from typing import Any

import pytest

from dxlfabric import answers, topics
from tests.unit.fabric.fabricfixtures import NOW, Fabric, only_error, only_response

GOOD = {
    "serviceType": "/type",
    "serviceGuid": "{s}",
    "requestChannels": ["/t"],
    "ttlMins": 60,
    "metaData": {},
}


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


def asked(fabric: Fabric, instance: str, topic: str, content: Any) -> Any:
    answer = only_response(fabric.ask(instance, topic, content), instance)
    return json.loads(bytes(answer.payload))


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"null", b"\xff", b"7", b"[" * 50_000], ids=range(7)
)
@pytest.mark.parametrize(
    "topic",
    [
        topics.SERVICE_REGISTER,
        topics.SERVICE_UNREGISTER,
        topics.SERVICE_QUERY,
        topics.BROKER_QUERY,
        topics.TOPIC_QUERY,
        topics.BROKER_HEALTH,
        topics.BROKER_SUBSCRIPTIONS,
    ],
)
def test_what_is_no_json_object_gets_no_answer(fabric: Fabric, topic: str, payload: bytes) -> None:
    assert fabric.ask(fabric.join("one"), topic, payload) == {}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"serviceGuid": ""}, "serviceGuid: a text is needed"),
        ({"serviceGuid": 7}, "serviceGuid: a text is needed"),
        ({"serviceType": None}, "serviceType: a text is needed"),
        ({"requestChannels": []}, "requestChannels: a list of 1 to 1000 topics"),
        ({"requestChannels": "/t"}, "requestChannels: a list of 1 to 1000 topics"),
        ({"requestChannels": ["/t"] * 1001}, "requestChannels: a list of 1 to 1000 topics"),
        ({"requestChannels": ["/t/#"]}, "'/t/#' is no topic for requests"),
        ({"requestChannels": [7]}, "'7' is no topic for requests"),
        ({"ttlMins": 0}, "ttlMins: a number from 1 to 525600"),
        ({"ttlMins": "60"}, "ttlMins: a number from 1 to 525600"),
        ({"metaData": []}, "metaData: an object is needed"),
    ],
)
def test_a_registration_that_makes_no_sense_is_refused(
    fabric: Fabric, change: dict[str, Any], complaint: str
) -> None:
    service = fabric.join("service")
    error = only_error(fabric.ask(service, topics.SERVICE_REGISTER, GOOD | change), service)
    assert complaint in error.error_message
    assert fabric.services(service) == {}


def test_too_large_a_registration_is_refused(fabric: Fabric) -> None:
    service = fabric.join("service")
    content = GOOD | {"metaData": {"x": "y" * 64 * 1024}}
    error = only_error(fabric.ask(service, topics.SERVICE_REGISTER, content), service)
    assert "a broker takes up to 65536" in error.error_message
    assert fabric.services(service) == {}


def test_a_registration_is_told_and_listed(fabric: Fabric) -> None:
    watcher = fabric.join("watcher", topics.SERVICE_REGISTERED)
    service = fabric.join("service")
    found = fabric.register(service, "{s}", "/t", "/u", metaData={"a": "b"})
    told = json.loads(bytes(found[watcher][0].payload))
    assert told["certificates"] == ["service", "ca"]
    assert told["requestChannels"] == ["/t", "/u"]
    assert told["registrationTime"] == int(NOW)
    listed = fabric.services(watcher)["{s}"]
    assert listed == told | {"local": True, "unauthorizedChannels": []}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, {"{1}", "{2}"}),
        ({"serviceType": "/one"}, {"{1}"}),
        ({"serviceGuid": "{2}"}, {"{2}"}),
        ({"serviceType": "/none"}, set()),
        ({"serviceType": "/one", "serviceGuid": "{2}"}, set()),
    ],
)
def test_services_are_found_by_type_and_id(
    fabric: Fabric, wanted: dict[str, str], expected: set[str]
) -> None:
    service = fabric.join("service")
    fabric.register(service, "{1}", "/t", serviceType="/one")
    fabric.register(service, "{2}", "/t", serviceType="/two")
    assert set(asked(fabric, service, topics.SERVICE_QUERY, wanted)["services"]) == expected


def test_only_the_owner_changes_a_registration(fabric: Fabric) -> None:
    mallory = fabric.join("mallory")
    service = fabric.join("service")
    fabric.register(service, "{s}", "/t")
    error = only_error(fabric.register(mallory, "{s}", "/stolen"), mallory)
    assert "was registered by client service" in error.error_message
    only_response(fabric.ask(mallory, topics.SERVICE_UNREGISTER, {"serviceGuid": "{s}"}), mallory)
    assert fabric.services(mallory)["{s}"]["requestChannels"] == ["/t"]


def test_the_owner_unregisters_from_another_connection(fabric: Fabric) -> None:
    service = fabric.join("service", connection=1)
    fabric.register(service, "{s}", "/t")
    again = fabric.join("service", connection=2)
    only_response(fabric.ask(again, topics.SERVICE_UNREGISTER, {"serviceGuid": "{s}"}), again)
    assert fabric.services(again) == {}


def test_unregistering_what_is_not_there_succeeds(fabric: Fabric) -> None:
    client = fabric.join("client")
    only_response(fabric.ask(client, topics.SERVICE_UNREGISTER, {"serviceGuid": "{none}"}), client)


def test_a_client_cannot_register_without_end(
    fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "SERVICES_PER_CLIENT", 2)
    service = fabric.join("service")
    for number in range(2):
        only_response(fabric.register(service, f"{{{number}}}", "/t"), service)
    error = only_error(fabric.register(service, "{2}", "/t"), service)
    assert "has 2 services" in error.error_message
    only_response(fabric.register(service, "{1}", "/t"), service)


def test_topics_are_counted(fabric: Fabric) -> None:
    one = fabric.join("one", "/a", "/b")
    fabric.join("two", "/a")
    known = asked(fabric, one, topics.TOPIC_QUERY, {"topics": ["/a"]})
    assert known == {"count": 2, "exists": True}
    assert not asked(fabric, one, topics.TOPIC_QUERY, {"topics": ["/a", "/c"]})["exists"]
    assert not asked(fabric, one, topics.TOPIC_QUERY, {"topics": []})["exists"]
    only_error(fabric.ask(one, topics.TOPIC_QUERY, {}), one)
    assert asked(fabric, one, topics.BROKER_SUBSCRIPTIONS, {"topic": "/a"}) == {"count": 2}


def test_health_tells_rates(fabric: Fabric) -> None:
    one = fabric.join("one")
    fabric.router.sweep(NOW)
    for _ in range(20):
        fabric.ask(one, topics.BROKER_HEALTH, {})
    fabric.router.sweep(NOW + 10)
    health = asked(fabric, one, topics.BROKER_HEALTH, {})
    assert health == {
        "connectedClients": 1,
        "incomingMessages": 2.0,
        "localServiceCounter": 0,
        "outgoingMessages": 2.0,
        "startTime": int(NOW),
    }


def test_the_broker_describes_itself(fabric: Fabric) -> None:
    one = fabric.join("one")
    (broker,) = asked(fabric, one, topics.BROKER_QUERY, {})["brokers"].values()
    assert (broker["hostname"], broker["port"], broker["version"]) == ("host", 8883, "test")
