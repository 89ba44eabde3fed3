"""The services of a fabric: who offers what on which topics, and whose turn it is.

A registration belongs to the certificate that made it. It outlives its connection, as on every DXL
broker, until it is removed, runs out, or a request finds nobody behind it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dxlfabric.errors import FabricError

TTL_GRACE_MINUTES = 10
"""Minutes that a registration outlives its time to live.

Clients renew when the time to live is over, not before, so without a grace every renewal would
leave a gap. Ten minutes is what clients themselves allow.
"""


class NotOwnerError(FabricError):
    """A client tried to change a registration that another certificate made."""


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """Who is behind a connection, as its certificate says.

    Attributes:
        certificates: SHA-1 of each certificate in the client's chain, root first, client last.
        instance: Names this one connection: the client's SHA-1, a colon and a UUID.
    """

    certificates: tuple[str, ...]
    instance: str

    @property
    def client_id(self) -> str:
        """SHA-1 of the client's own certificate."""
        return self.certificates[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One instance of a service.

    Attributes:
        service_id: The instance's identifier.
        service_type: What kind of service it is.
        topics: Topics on which it takes requests.
        ttl_minutes: Minutes after which it has to register again.
        metadata: The service's own facts about itself, for those who query.
        owner: The connection that registered it.
        registered_at: Unix time of the (latest) registration, in seconds.
    """

    service_id: str
    service_type: str
    topics: tuple[str, ...]
    ttl_minutes: int
    metadata: Mapping[str, Any]
    owner: ClientIdentity
    registered_at: float

    @property
    def expires_at(self) -> float:
        """Unix time at which the registration runs out."""
        return self.registered_at + 60 * (self.ttl_minutes + TTL_GRACE_MINUTES)


class ServiceRegistry:
    """All registrations, with a turn per topic that goes round over its instances."""

    __slots__ = ("_by_id", "_by_topic")

    def __init__(self) -> None:
        self._by_id: dict[str, Registration] = {}
        self._by_topic: dict[str, list[str]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Registration]:
        return iter(list(self._by_id.values()))

    def register(self, registration: Registration) -> None:
        """Add a registration, or renew the one of the same service id.

        Raises:
            NotOwnerError: That service id is registered by another certificate.
        """
        former = self._by_id.get(registration.service_id)
        if former is not None:
            self._check_owner(former, registration.owner)
            for topic in set(former.topics) - set(registration.topics):
                self._leave(topic, former.service_id)
        self._by_id[registration.service_id] = registration
        for topic in dict.fromkeys(registration.topics):
            turns = self._by_topic.setdefault(topic, [])
            if registration.service_id not in turns:
                turns.append(registration.service_id)

    def unregister(self, service_id: str, by: ClientIdentity) -> Registration | None:
        """Remove a registration for its owner; return it, or None where there is none.

        Raises:
            NotOwnerError: Another certificate made it.
        """
        registration = self._by_id.get(service_id)
        if registration is None:
            return None
        self._check_owner(registration, by)
        self.remove(service_id)
        return registration

    def remove(self, service_id: str) -> None:
        """Remove a registration; do nothing where there is none."""
        registration = self._by_id.pop(service_id, None)
        if registration is not None:
            for topic in set(registration.topics):
                self._leave(topic, service_id)

    def get(self, service_id: str) -> Registration | None:
        """Return the registration of a service id."""
        return self._by_id.get(service_id)

    def next(self, topic: str) -> Registration | None:
        """Return the instance whose turn it is on ``topic`` and move the turn on."""
        turns = self._by_topic.get(topic)
        if not turns:
            return None
        turns.append(turns.pop(0))
        return self._by_id[turns[-1]]

    def remove_expired(self, now: float) -> list[Registration]:
        """Remove and return what was not renewed in time; ``now`` is Unix time in seconds."""
        expired = [one for one in self._by_id.values() if one.expires_at <= now]
        for registration in expired:
            self.remove(registration.service_id)
        return expired

    def _leave(self, topic: str, service_id: str) -> None:
        turns = self._by_topic[topic]
        turns.remove(service_id)
        if not turns:
            del self._by_topic[topic]

    @staticmethod
    def _check_owner(registration: Registration, by: ClientIdentity) -> None:
        if by.client_id != registration.owner.client_id:
            raise NotOwnerError(
                f"service {registration.service_id} was registered by client "
                f"{registration.owner.client_id}, not by {by.client_id}"
            )
