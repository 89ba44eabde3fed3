"""Tools to test programs that send, take and store files, without a fabric and without waiting.

==================  ===============================================================
``memorybus``       a whole fabric in memory, in virtual time, with faults by chance
``memoryservice``   an instance of the service on it, to be crashed and restarted
``memorystore``     a whole store in memory
``conformance``     tests that every store has to pass; needs pytest, so import it
                    from its module
``faults``          what may happen to a message
``traffic``         what has travelled: counters and a log
``timeline``        events in the order of their times (no input or output)
==================  ===============================================================

Example:
    >>> bus = MemoryBus(seed=7, faults=Faults(lose=0.05, duplicate=0.05))
    >>> store = MemoryStore()
    >>> service = bus.serve(store)
"""

from dxlfiletransferclient.testing.faults import Direction, Faults, Harm
from dxlfiletransferclient.testing.memorybus import EPOCH, MemoryBus
from dxlfiletransferclient.testing.memoryoptions import MemoryStoreOptions
from dxlfiletransferclient.testing.memoryservice import MemoryService
from dxlfiletransferclient.testing.memorystore import MemoryStore
from dxlfiletransferclient.testing.timeline import EndOfTimeError
from dxlfiletransferclient.testing.traffic import Event, LogEntry, Traffic, TrafficLog

__all__ = [
    "EPOCH",
    "Direction",
    "EndOfTimeError",
    "Event",
    "Faults",
    "Harm",
    "LogEntry",
    "MemoryBus",
    "MemoryService",
    "MemoryStore",
    "MemoryStoreOptions",
    "Traffic",
    "TrafficLog",
]
