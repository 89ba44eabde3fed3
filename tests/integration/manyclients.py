"""Sends files from several clients at once.

Usage: manyclients.py CONFIG STORE_TOPIC DIRECTORY FIRST COUNT. Makes 20 files for each client in a
directory of its own below DIRECTORY, named by its number, and sends them under the same names.
"""

import random
import sys
import threading
from pathlib import Path

from dxlfabric.connection import connect
from dxlfiletransferclient import FileTransferClient

SMALL_FILES = 17
SMALL_SIZE = 20_000
LARGE_FILES = 3
LARGE_SIZE = 2_000_000


def main() -> None:
    """Do what the module says."""
    config, topic, directory, first, count = sys.argv[1:]
    problems: list[BaseException] = []

    def send(number: int) -> None:
        source = _made(Path(directory) / f"{number:02}", number)
        try:
            with connect(config, timeout=60.0) as dxl_client:
                FileTransferClient(dxl_client, topic).send(source).raise_for_failure()
        except BaseException as error:
            problems.append(error)
            raise

    threads = [
        threading.Thread(target=send, args=(number,))
        for number in range(int(first), int(first) + int(count))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.exit(1 if problems else 0)


def _made(directory: Path, number: int) -> Path:
    directory.mkdir(parents=True)
    generator = random.Random(number)
    for index in range(SMALL_FILES):
        (directory / f"small-{index}").write_bytes(generator.randbytes(SMALL_SIZE))
    for index in range(LARGE_FILES):
        (directory / f"large-{index}").write_bytes(generator.randbytes(LARGE_SIZE))
    return directory


if __name__ == "__main__":
    main()
