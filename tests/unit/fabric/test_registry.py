import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dxlfabric.registry import NotOwnerError, Registration, ServiceRegistry
from tests.unit.fabric.fabricfixtures import NOW, identity

IDS = st.sampled_from(["{1}", "{2}", "{3}"])
OWNERS = st.sampled_from(["alice", "bob"])
TOPICS = st.lists(st.sampled_from(["/a", "/b", "/c"]), min_size=1, max_size=4).map(tuple)


def registration(
    service_id: str, owner: str, topics: tuple[str, ...], *, at: float = NOW
) -> Registration:
    return Registration(
        service_id=service_id,
        service_type="/type",
        topics=topics,
        ttl_minutes=60,
        metadata={},
        owner=identity(owner),
        registered_at=at,
    )


class RegistryMachine(RuleBasedStateMachine):
    """Compares with a plain dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = ServiceRegistry()
        self.known: dict[str, Registration] = {}

    @rule(service_id=IDS, owner=OWNERS, topics=TOPICS)
    def register(self, service_id: str, owner: str, topics: tuple[str, ...]) -> None:
        wanted = registration(service_id, owner, topics)
        former = self.known.get(service_id)
        if former is not None and former.owner != wanted.owner:
            with pytest.raises(NotOwnerError):
                self.registry.register(wanted)
        else:
            self.registry.register(wanted)
            self.known[service_id] = wanted

    @rule(service_id=IDS, owner=OWNERS)
    def unregister(self, service_id: str, owner: str) -> None:
        former = self.known.get(service_id)
        if former is not None and former.owner != identity(owner):
            with pytest.raises(NotOwnerError):
                self.registry.unregister(service_id, identity(owner))
        else:
            assert self.registry.unregister(service_id, identity(owner)) is former
            self.known.pop(service_id, None)

    @rule(service_id=IDS)
    def remove(self, service_id: str) -> None:
        self.registry.remove(service_id)
        self.known.pop(service_id, None)

    @rule(topic=st.sampled_from(["/a", "/b", "/c"]))
    def a_full_round_asks_each_instance_once(self, topic: str) -> None:
        expected = sorted(one for one, known in self.known.items() if topic in known.topics)
        chosen = [self.registry.next(topic) for _ in expected]
        assert sorted(one.service_id for one in chosen if one is not None) == expected
        if not expected:
            assert self.registry.next(topic) is None

    @invariant()
    def lists_what_is_registered(self) -> None:
        assert {one.service_id: one for one in self.registry} == self.known
        assert len(self.registry) == len(self.known)


TestRegistry = RegistryMachine.TestCase


def test_renewing_keeps_the_turn() -> None:
    registry = ServiceRegistry()
    for service_id in ("{1}", "{2}"):
        registry.register(registration(service_id, "alice", ("/a",)))
    first = registry.next("/a")
    registry.register(registration("{1}", "alice", ("/a",), at=NOW + 60))
    second = registry.next("/a")
    assert first is not None
    assert second is not None
    assert (first.service_id, second.service_id) == ("{1}", "{2}")


def test_expiry_counts_from_the_renewal() -> None:
    registry = ServiceRegistry()
    registry.register(registration("{1}", "alice", ("/a",)))
    registry.register(registration("{1}", "alice", ("/a",), at=NOW + 3600))
    assert registry.remove_expired(NOW + 70 * 60) == []
    (expired,) = registry.remove_expired(NOW + 3600 + 70 * 60)
    assert expired.service_id == "{1}"
    assert registry.next("/a") is None
