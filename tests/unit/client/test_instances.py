"""Instances: what the registry tells, and which one is chosen."""

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.constants import SERVICE_TYPE
from dxlfiletransferclient.exchange.instances import (
    MOST_INSTANCES,
    Instance,
    choose,
    registry_query,
    service_ids,
)
from dxlfiletransferclient.protocol.messages import HelloAnswer


def instance(store_id: str, service_id: str = "{x}") -> Instance:
    hello = HelloAnswer(revision=0, store_id=store_id, segment_size=1, window=1, verbs="hello")
    return Instance(service_id, hello)


def answer(services: object) -> bytes:
    return json.dumps({"services": services}).encode()


def test_the_query_asks_for_the_type_of_the_service() -> None:
    assert json.loads(bytes(registry_query().payload)) == {"serviceType": SERVICE_TYPE}
    assert registry_query().fields == {}


def test_only_those_that_serve_the_topic_count() -> None:
    found = answer(
        {
            "{b}": {"serviceType": SERVICE_TYPE, "requestChannels": ["/t/v2/hello", "/t"]},
            "{a}": {"requestChannels": ["/t/v2/hello"], "ttlMins": 60},
            "{version 1}": {"requestChannels": ["/t"]},
            "{other}": {"requestChannels": ["/other/v2/hello"]},
        }
    )
    for ending in (b"", b"\0", b"\0\0\0"):
        assert service_ids(found + ending, "/t/v2/hello") == ("{a}", "{b}")
    assert service_ids(memoryview(found), "/t/v2/hello") == ("{a}", "{b}")


def test_there_is_a_bound_on_them() -> None:
    many = {f"{{{number:04}}}": {"requestChannels": ["/t"]} for number in range(1000)}
    assert len(service_ids(answer(many), "/t")) == MOST_INSTANCES


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"\0",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{",
        b'{"services": []}',
        b'{"services": {"{a}": null, "{b}": {"requestChannels": "/t"}, "{c}": {}}}',
        b"[" * 100_000,
    ],
)
def test_nonsense_is_nobody(nonsense: bytes) -> None:
    assert service_ids(nonsense, "/t") == ()


@given(st.sets(st.text(), min_size=1, max_size=8), st.text(), st.randoms())
def test_the_choice_depends_on_key_and_stores_only(
    stores: set[str], key: str, random: Random
) -> None:
    shuffled = sorted(stores)
    random.shuffle(shuffled)
    chosen = choose(map(instance, stores), key)
    again = choose([instance(store, f"{{{n}}}") for n, store in enumerate(shuffled)], key)
    assert again.hello.store_id == chosen.hello.store_id


def test_keys_are_spread_and_move_only_from_an_instance_that_is_gone() -> None:
    stores = [instance(name) for name in ("one", "two", "three")]
    before = {str(key): choose(stores, str(key)) for key in range(300)}
    for each in stores:
        assert 60 < list(before.values()).count(each) < 140
    after = {key: choose(stores[:2], key) for key in before}
    assert all(after[key] == old for key, old in before.items() if old != stores[2])


def test_of_two_with_one_store_it_is_always_the_same() -> None:
    one, two = instance("store", "{1}"), instance("store", "{2}")
    assert choose([one, two], "key") == choose([two, one], "key")
