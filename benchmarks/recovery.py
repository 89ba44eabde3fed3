"""How long a transfer stands still when its service is killed and started again."""

import threading
import time
from pathlib import Path

from benchmarks.checks import stored_as_sent
from benchmarks.fabric import PROGRAMS, Fabric
from benchmarks.processes import ProgramError, python, run

TICK = 0.005
"""Seconds between two looks at the part file."""

PATIENCE = 120.0
"""Seconds for each thing that has to happen."""


def seconds_to_go_on(fabric: Fabric, source: Path) -> float:
    """Kill the service in the middle of a file, start it again, and let the file be finished.

    Returns:
        Seconds from the moment that the service says it is ready to the first byte that is written
        to the part file.

    Raises:
        ProgramError: The file did not arrive, or not as it was sent.
    """
    outcome: list[dict[str, object] | ProgramError] = []
    command = python(
        PROGRAMS / "transfer_version2.py",
        *(fabric.client_configuration, "send", source, "resumed"),
    )

    def send() -> None:
        try:
            outcome.append(run(command, fabric.link))
        except ProgramError as error:
            outcome.append(error)

    sender = threading.Thread(target=send)
    with fabric.transfer_service() as service:
        sender.start()
        part = part_with(fabric.storage / ".workdir", source.stat().st_size // 2)
        service.kill()
    before = part.stat().st_mtime_ns
    with fabric.transfer_service():
        ready = time.monotonic()
        _wait_for_write(part, before)
        went_on = time.monotonic() - ready
        sender.join(PATIENCE)
        if not outcome or isinstance(outcome[0], ProgramError):
            raise ProgramError(f"the file was not sent after the service was killed: {outcome}")
    stored_as_sent(fabric.storage / "resumed", source)
    return went_on


def part_with(directory: Path, size: int) -> Path:
    """Wait until a service has received some bytes of a file, and return its part file.

    Args:
        directory: The service's working directory.
        size: Bytes.

    Raises:
        ProgramError: That does not come about.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for path in directory.glob("*.part"):
            if path.stat().st_size >= size:
                return path
        time.sleep(TICK)
    raise ProgramError(f"no file in {directory} came to half its size")


def _wait_for_write(part: Path, before: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if part.stat().st_mtime_ns != before:
                return
        except FileNotFoundError:
            return  # finished already
        time.sleep(TICK)
    raise ProgramError("nothing was written after the service was started again")
