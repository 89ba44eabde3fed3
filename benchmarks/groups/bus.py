"""What the bus carries, and the project measured by itself."""

import sys
from functools import partial

from benchmarks import measurements
from benchmarks.fabric import Client, running_fabric
from benchmarks.groups.run import MEBIBYTE, PUBLISHED, VERSION_2, Run, megabytes
from benchmarks.measurements import FORWARDED_BYTES, FORWARDED_SIZE, IN_FLIGHT
from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE

OURS = "this client"
LIMIT = "bus limit"
FABRIC_LIMIT = "bus limit, FabricClient"
OFFICIAL = "official DXL client"

DEFAULT_SIZE = 50 * 1024
"""Bytes per segment unless one asks for more, in the published client."""

LARGE_SIZE = 900 * 1024
"""About the largest segments that the published client can send."""


def forwarding(run: Run) -> None:
    """Measure what it costs the broker to forward requests."""
    what = f"{FORWARDED_SIZE // 1024} KiB requests, {IN_FLIGHT} in flight"
    for link in run.links:
        with (
            running_fabric(run.place("forwarding", link), link) as fabric,
            fabric.answering_service() as service,
        ):
            measure = partial(
                measurements.bus_limit,
                fabric,
                service,
                request_size=FORWARDED_SIZE,
                total=min(FORWARDED_BYTES, run.large),
            )
            run.turns(what, link, {OFFICIAL: measure})


def version_1(run: Run) -> None:
    """Measure the published client and the same call of this one, in two segment sizes."""
    source = run.source(run.size // 4)
    for link in run.links:
        with (
            running_fabric(run.place("version-1", link), link) as fabric,
            fabric.transfer_service() as service,
        ):
            for size in (DEFAULT_SIZE, LARGE_SIZE):
                what = f"{megabytes(source)} MiB in {size // 1024} KiB segments"
                senders = {
                    who: partial(
                        measurements.version_1,
                        fabric,
                        service,
                        source,
                        segment_size=size,
                        who=who,
                        interpreter=interpreter,
                    )
                    for who, interpreter in _version_1_senders(run).items()
                }
                run.turns(what, link, senders)


def version_2(run: Run) -> None:
    """Measure version 2 against the published client at its defaults, and against the bus."""
    source = run.source(run.size)
    what = f"{megabytes(source)} MiB file"
    for link in run.links:
        with (
            running_fabric(run.place("version-2", link), link) as fabric,
            fabric.transfer_service() as service,
            fabric.answering_service(Client.OFFICIAL) as official,
            fabric.answering_service(Client.FABRIC) as answering,
        ):
            limit = partial(
                measurements.bus_limit, fabric, request_size=SEGMENT_SIZE, total=run.size
            )
            senders = {
                LIMIT: partial(limit, official),
                FABRIC_LIMIT: partial(limit, answering, client=Client.FABRIC),
                VERSION_2: partial(measurements.version_2, fabric, service, source),
                f"{VERSION_2}, get": partial(measurements.download, fabric, service, source),
            }
            if run.published:
                published = partial(
                    measurements.version_1,
                    fabric,
                    service,
                    source,
                    segment_size=DEFAULT_SIZE,
                    who=PUBLISHED,
                    interpreter=run.published,
                )
                senders = {PUBLISHED: published} | senders
            run.turns(what, link, senders)
        run.compare(what, VERSION_2, PUBLISHED, link, 6.0)
        run.compare(what, VERSION_2, LIMIT, link, 0.85)


def space(run: Run) -> int:
    """Return the bytes of disk that the largest of these takes for a while."""
    return run.size + 64 * MEBIBYTE


def _version_1_senders(run: Run) -> dict[str, str]:
    # The first of them is the one that the others are compared with.
    published = {PUBLISHED: run.published} if run.published else {}
    return {**published, OURS: sys.executable}
