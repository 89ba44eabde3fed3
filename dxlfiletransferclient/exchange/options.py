"""What a caller may choose about the exchange of messages."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What a caller may choose about the exchange of messages; all times are in seconds.

    Attributes:
        window: Bytes that may be outstanding at most. They wait in the memory of this process, the
            broker and the service; how many of them are used depends on what is measured. 16 MiB
            are enough for 100 MiB/s over a round trip of 80 ms, twice.
        concurrency: Files that are under way at the same time, 1 or more: while one is verified,
            others travel.
        patience: How long nothing at all may move forward before the call fails. A service and its
            broker need some seconds to restart; whoever watches loses patience after minutes.
        failover_after: How long a lost service is looked for before another one on the same topic
            takes its place, where files begin anew.
        connect_timeout: How long the first answer of any service may take; that nobody offers the
            service is clear at once and needs no waiting.
        shortest_timeout: How long to wait for an answer at least before the request is sent again,
            however quick answers were before: disks and garbage collectors pause for some tenths of
            seconds, and each request that is sent in vain costs its bytes.
        longest_timeout: The same at most, unless answers are known to take longer. It is how late
            the loss of a message may be noticed.

    Raises:
        ValueError: One of them is not greater than 0, or the shortest time-out exceeds the longest.
    """

    window: int = 16 * 2**20
    concurrency: int = 4
    patience: float = 120.0
    failover_after: float = 15.0
    connect_timeout: float = 30.0
    shortest_timeout: float = 1.0
    longest_timeout: float = 15.0

    def __post_init__(self) -> None:
        for field in fields(self):
            # "not ... > 0" is true for what is not a number as well.
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name!r} must be greater than 0")
        if self.shortest_timeout > self.longest_timeout:
            raise ValueError("'shortest_timeout' must not be greater than 'longest_timeout'")
