"""Which instances of a service there are, and which one to use. No input or output."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from dxlfiletransferclient.constants import SERVICE_TYPE
from dxlfiletransferclient.protocol.messages import HelloAnswer
from dxlfiletransferclient.protocol.parcels import Parcel, Payload
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb

REGISTRY_TOPIC: Final = "/mcafee/service/dxl/svcregistry/query"
"""Topic on which every broker tells which services are registered on the fabric."""

MOST_INSTANCES: Final = 64
"""Instances that are asked at most; each costs one small message and its answer."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A running service.

    Attributes:
        service_id: What requests to it are addressed with; another one after each start.
        hello: What it says about itself.
    """

    service_id: str
    hello: HelloAnswer

    def offers(self, verb: Verb) -> bool:
        """Whether it takes requests of a kind."""
        return verb in self.hello.verbs.split()


def not_offered(verb: Verb, store_topic: str) -> RefusedError:
    """Return the error for what an instance on a topic does not offer."""
    text = (
        f"the service on topic {store_topic} is not configured to take {verb.value!r} requests, "
        "or too old for them: ask whoever runs it"
    )
    return RefusedError(ErrorCode.NOT_ALLOWED, text)


def registry_query() -> Parcel:
    """Return what asks a broker for all file transfer services."""
    return Parcel({}, json.dumps({"serviceType": SERVICE_TYPE}).encode())


def service_ids(answer: Payload, topic: str) -> tuple[str, ...]:
    """Read from a broker's answer who serves a topic.

    Args:
        answer: Payload of the answer to :func:`registry_query`.
        topic: The topic.

    Returns:
        The ids of the services, in order; none if the answer makes no sense.

    Example:
        >>> answer = b'{"services": {"{one}": {"requestChannels": ["/a", "/b"]}}}'
        >>> service_ids(answer, "/b"), service_ids(answer, "/c")
        (('{one}',), ())
    """
    try:
        found = json.loads(bytes(answer).rstrip(b"\0"))
    except (ValueError, RecursionError):
        return ()
    services = found.get("services") if isinstance(found, dict) else None
    if not isinstance(services, dict):
        return ()
    ids = sorted(name for name, service in services.items() if _serves(service, topic))
    return tuple(ids[:MOST_INSTANCES])


def choose(instances: Iterable[Instance], key: str) -> Instance:
    """Return the instance to use for something: the same one for the same key and instances.

    Instances that come or go change the choice for few keys only, because the highest hash wins.

    Args:
        instances: One or more instances.
        key: What they are to be used for.
    """

    def rank(instance: Instance) -> tuple[bytes, str]:
        text = f"{key}\0{instance.hello.store_id}"
        return hashlib.sha256(text.encode(errors="surrogatepass")).digest(), instance.service_id

    return max(instances, key=rank)


def _serves(service: Any, topic: str) -> bool:
    channels = service.get("requestChannels") if isinstance(service, dict) else None
    return isinstance(channels, list) and topic in channels
