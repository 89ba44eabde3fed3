"""Sends files by version 2 in a process of its own, so that it can be killed.

Usage: sendfiles.py CONFIG STORE_TOPIC FAILOVER_AFTER PATH NAME [PATH NAME …]. Each file is sent by
a DXL client and a thread of its own. Prints one JSON object for each when all have ended.
"""

import json
import sys
import threading
from pathlib import Path

from dxlfabric.connection import connect
from dxlfiletransferclient import EngineOptions, FileOutcome, FileTransferClient, SendOptions

PATIENCE = 60.0
"""Seconds without any progress after which a transfer is given up."""


def described(outcome: FileOutcome) -> str:
    """Return what became of a file, as JSON."""
    content = {
        "name": outcome.name,
        "result": outcome.result,
        "size": outcome.size,
        "sent": outcome.sent,
        "resumed": outcome.resumed,
        "sha256": outcome.sha256,
        "error": str(outcome.error or ""),
    }
    return json.dumps(content)


def main() -> None:
    """Do what the module says."""
    config, topic, failover_after, *pairs = sys.argv[1:]
    options = SendOptions(
        engine=EngineOptions(patience=PATIENCE, failover_after=float(failover_after))
    )
    found: list[str] = []

    def send(path: str, name: str) -> None:
        with connect(config) as dxl_client:
            report = FileTransferClient(dxl_client, topic).send(Path(path), name, options=options)
        found.extend(map(described, report.outcomes))

    sends = zip(pairs[::2], pairs[1::2], strict=True)
    threads = [threading.Thread(target=send, args=pair) for pair in sends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write("\n".join(found) + "\n")


if __name__ == "__main__":
    main()
