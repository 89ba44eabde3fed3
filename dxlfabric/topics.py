"""Names of the fabric's own topics, and which topics a subscription takes in."""

from collections.abc import Iterable, Iterator

REPLY_PREFIX = "/mcafee/client/"
"""Before a client's own identifier: where it takes answers. Not listed among a fabric's topics."""

EVENT_PREFIX = "/mcafee/event/dxl/"
"""Before every topic that brokers alone publish on."""

SERVICE_REGISTER = "/mcafee/service/dxl/svcregistry/register"
SERVICE_UNREGISTER = "/mcafee/service/dxl/svcregistry/unregister"
SERVICE_QUERY = "/mcafee/service/dxl/svcregistry/query"
BROKER_QUERY = "/mcafee/service/dxl/brokerregistry/query"
TOPIC_QUERY = "/mcafee/service/dxl/brokerregistry/topicquery"
BROKER_HEALTH = "/mcafee/service/dxl/broker/health"
BROKER_SUBSCRIPTIONS = "/mcafee/service/dxl/broker/subs"

SERVICE_REGISTERED = EVENT_PREFIX + "svcregistry/register"
SERVICE_UNREGISTERED = EVENT_PREFIX + "svcregistry/unregister"
TOPIC_ADDED = EVENT_PREFIX + "brokerregistry/topicadded"
TOPIC_REMOVED = EVENT_PREFIX + "brokerregistry/topicremoved"


def is_filter(text: str) -> bool:
    """Tell whether ``text`` can be subscribed to: wildcards alone in their level, ``#`` last.

    Example:
        >>> is_filter("/example/+/state/#"), is_filter("/example#"), is_filter("/#/example")
        (True, False, False)
    """
    if not text:
        return False
    *levels, last = text.split("/")
    if any("#" in level or ("+" in level and level != "+") for level in levels):
        return False
    return last in ("+", "#") or ("+" not in last and "#" not in last)


def has_wildcard(filter_: str) -> bool:
    """Tell whether a topic filter takes in more than the one topic of its name."""
    return "+" in filter_ or "#" in filter_


def matches(filter_: str, topic: str) -> bool:
    """Tell whether a topic filter takes in a topic, by MQTT's rules.

    Example:
        >>> matches("/example/#", "/example/one/two"), matches("/example/+", "/example/one/two")
        (True, False)
    """
    if topic.startswith("$") and filter_[:1] in ("+", "#"):
        return False
    levels = topic.split("/")
    wanted = filter_.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        if len(levels) < len(wanted):
            return False
        levels = levels[: len(wanted)]
    elif len(levels) != len(wanted):
        return False
    return all(want in ("+", level) for want, level in zip(wanted, levels, strict=True))


class Subscriptions:
    """Who subscribes to what.

    Subscribers keep the order in which they came, so that what is sent to several goes out in the
    same order every time.
    """

    __slots__ = ("_subscribers", "_wildcards")

    def __init__(self) -> None:
        self._subscribers: dict[str, dict[str, None]] = {}
        self._wildcards: set[str] = set()

    def add(self, subscriber: str, filter_: str) -> bool:
        """Add a subscription; return whether the filter is new here."""
        subscribers = self._subscribers.get(filter_)
        is_new = subscribers is None
        if subscribers is None:
            subscribers = self._subscribers[filter_] = {}
            if has_wildcard(filter_):
                self._wildcards.add(filter_)
        subscribers[subscriber] = None
        return is_new

    def remove(self, subscriber: str, filter_: str) -> bool:
        """Remove a subscription, if there is one; return whether the filter was its last."""
        subscribers = self._subscribers.get(filter_)
        if subscribers is None or subscriber not in subscribers:
            return False
        del subscribers[subscriber]
        if subscribers:
            return False
        del self._subscribers[filter_]
        self._wildcards.discard(filter_)
        return True

    def subscribers(self, topic: str) -> list[str]:
        """Return everyone whose subscription takes in ``topic``, each once."""
        exact = self._subscribers.get(topic, {})
        if not self._wildcards:
            return list(exact)
        found = dict(exact)
        for filter_ in self._wildcards:
            if matches(filter_, topic):
                found.update(self._subscribers[filter_])
        return list(found)

    def subscribes(self, subscriber: str, topic: str) -> bool:
        """Tell whether one subscriber takes in ``topic``."""
        if subscriber in self._subscribers.get(topic, ()):
            return True
        return any(
            subscriber in self._subscribers[filter_] and matches(filter_, topic)
            for filter_ in self._wildcards
        )

    def filters(self) -> Iterator[str]:
        """Yield every filter that somebody subscribes to."""
        return iter(self._subscribers)


def listed(filters: Iterable[str]) -> Iterator[str]:
    """Yield those filters that a fabric lists: all but the clients' own reply topics."""
    return (filter_ for filter_ in filters if not filter_.startswith(REPLY_PREFIX))
