"""What whoever runs couriers may choose."""

from dataclasses import dataclass, field
from typing import Final

from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.exchange.options import EngineOptions

_ENGINE: Final = EngineOptions(
    concurrency=256, patience=30.0, failover_after=3600.0, connect_timeout=10.0
)
"""How couriers exchange messages: with as many jobs as their transfers have, and less patience than
a person, because they begin anew by themselves. Another instance is looked for only then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CourierOptions:
    """What whoever runs couriers may choose; all times are in seconds.

    Attributes:
        store_topic: Store topic of the receivers.
        engine: What concerns the exchange of messages with one receiver.
        most_threads: Destinations that are served at once; others wait for their turn. Each costs
            a thread, and the window of messages under way.
        slice: How long a destination is served while others wait.
        idle: How long a courier stays without anything to do, for what may come.
        longest_pause: How long a destination that cannot be reached is left alone at most.
        write_every: How often progress is written to the database.
    """

    store_topic: str = DEFAULT_STORE_TOPIC
    engine: EngineOptions = field(default_factory=lambda: _ENGINE)
    most_threads: int = 64
    slice: float = 60.0
    idle: float = 5.0
    longest_pause: float = 5.0
    write_every: float = 1.0
