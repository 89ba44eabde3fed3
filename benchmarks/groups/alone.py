"""What version 2 has to keep to by itself: memory, and going on after a crash."""

from statistics import median

from benchmarks import measurements
from benchmarks.fabric import running_fabric
from benchmarks.groups.run import GIBIBYTE, MEBIBYTE, VERSION_2, Run
from benchmarks.links import PLAIN
from benchmarks.recovery import seconds_to_go_on
from benchmarks.samples import Figure, Row, Sample

MEMORY_NOISE = 1.1
"""How far peak memory may differ between two runs of the same: allocators and threads vary."""


def memory(run: Run) -> None:
    """Measure how much memory a large file takes, each with processes of its own."""
    peaks: dict[int, Sample] = {}
    for size in (GIBIBYTE, 8 * GIBIBYTE):
        source = run.home / "sparse"
        with source.open("wb") as file:
            file.truncate(size)
        with (
            running_fabric(run.place(f"memory-{size}", PLAIN), PLAIN) as fabric,
            fabric.transfer_service() as service,
        ):
            what = f"{size // GIBIBYTE} GiB file"
            run.tell(f"{what}: {VERSION_2}, {PLAIN.name}")
            peaks[size] = measurements.version_2(fabric, service, source)
            run.rows.append(Row(what, VERSION_2, PLAIN.name, peaks[size]))
    small, large = peaks.values()
    for name in ("sender", "service"):
        peak, before = getattr(large, f"{name}_peak"), getattr(small, f"{name}_peak")
        what = f"8 GiB file: peak memory of the {name}"
        run.figures.append(Figure(f"{what}, MiB", peak / MEBIBYTE, 150, least=False))
        text = f"{what}, against 1 GiB"
        run.figures.append(Figure(text, peak / before, MEMORY_NOISE, least=False))


def recovery(run: Run) -> None:
    """Measure how long a file stands still when its service is killed."""
    source = run.source(GIBIBYTE)
    with running_fabric(run.place("recovery", PLAIN), PLAIN) as fabric:
        found = []
        for _ in range(run.rounds):
            run.tell("1 GiB file, service killed at half of it")
            found.append(seconds_to_go_on(fabric, source))
    what = "1 GiB file, service killed: seconds to go on once it is up again"
    run.figures.append(Figure(what, median(found), 3.0, least=False))


def memory_space(_run: Run) -> int:
    """Return the bytes of disk that the file without content takes once it is stored."""
    return 8 * GIBIBYTE


def recovery_space(_run: Run) -> int:
    """Return the bytes of disk that the interrupted file takes for a while."""
    return GIBIBYTE
