"""What a broker does on a memory bus: it knows the services and finds one for each request."""

import json
from collections import Counter
from collections.abc import Sequence

from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.testing.memoryservice import MemoryService


class MemoryBroker:
    """Routes requests as an OpenDXL broker does. No input or output.

    Requests go round-robin over the services registered for their topic, unless they name one. The
    registration of a service that died ends with the first request for it, which is answered with
    an error.
    """

    def __init__(self) -> None:
        self._services: list[MemoryService] = []
        self._turns: Counter[str] = Counter()

    @property
    def services(self) -> Sequence[MemoryService]:
        """All services, whether they run or not, in the order in which they were added."""
        return tuple(self._services)

    def add(self, service: MemoryService) -> None:
        """Get to know a service.

        Raises:
            ValueError: If another store with the same id is served already.
        """
        mine = service.store
        for other in self._services:
            if other.store is not mine and other.store.store_id == mine.store_id:
                raise ValueError(f"two stores have the id {mine.store_id!r}; give them other ones")
        self._services.append(service)

    def route(self, topic: str, service_id: str) -> MemoryService | None:
        """Return the service that a request goes to; ``None`` if there is none.

        Args:
            topic: Where the request goes.
            service_id: The instance that it names; empty for any.
        """
        serving = [
            service
            for service in self._services
            if service.registered
            and topic in service.topics
            and service_id in ("", service.service_id)
        ]
        if not serving:
            return None
        chosen = serving[self._turns[topic] % len(serving)]
        if not service_id:
            self._turns[topic] += 1
        if chosen.alive:
            return chosen
        chosen.registered = False
        return None

    def answer_query(self, request: Parcel) -> Parcel | None:
        """Answer a query of the registry; what is no query gets no answer, as from real brokers."""
        try:
            query = json.loads(bytes(request.payload).rstrip(b"\0") or b"{}")
        except ValueError:
            return None
        if not isinstance(query, dict):
            return None
        wanted = {name: query[name] for name in ("serviceType", "serviceGuid") if name in query}
        found = {
            service.service_id: service.registration
            for service in self._services
            if service.registered and wanted.items() <= service.registration.items()
        }
        # Real brokers end their answers with a NUL byte.
        return Parcel({}, json.dumps({"services": found}).encode() + b"\0")
