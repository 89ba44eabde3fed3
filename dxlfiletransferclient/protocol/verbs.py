"""What can be asked for, and on which topics."""

from enum import StrEnum
from typing import Final

from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC

REVISION: Final = 1
"""Counts additions to version 2 that older peers may ignore; ``hello`` tells it."""


class Verb(StrEnum):
    """A request of version 2; its value ends the topic."""

    HELLO = "hello"
    OPEN = "open"
    SEGMENT = "segment"
    STATUS = "status"
    FINISH = "finish"
    ABORT = "abort"
    BATCH = "batch"
    RETRIEVE = "retrieve"
    LIST = "list"
    STAT = "stat"
    REMOVE = "remove"
    ADMIT = "admit"
    SEALED = "sealed"
    CALL = "call"
    LEAVE = "leave"


STORE_VERBS: Final = frozenset(Verb) - {Verb.ADMIT, Verb.SEALED, Verb.CALL, Verb.LEAVE}
"""What a store answers; the others are about sessions, see :mod:`.sessions`."""

INNER_VERBS: Final = frozenset(Verb) - {Verb.HELLO, Verb.ADMIT, Verb.SEALED}
"""What may be asked inside a session."""


def topic_of(verb: Verb, store_topic: str = DEFAULT_STORE_TOPIC) -> str:
    """Return the topic on which a service takes a verb.

    Args:
        verb: The verb.
        store_topic: The topic on which the same service takes version 1 requests.

    Example:
        >>> topic_of(Verb.OPEN, "/files/store")
        '/files/store/v2/open'
    """
    return f"{store_topic}/v2/{verb}"
