"""What the samples share: the configuration of the DXL client, the log and the progress."""

import logging
import os
from pathlib import Path

# The configuration of the client: the file beside this one, unless the environment names another.
CONFIG_FILE = os.environ.get("DXLCLIENT_CONFIG") or str(Path(__file__).parent / "dxlclient.config")

# Warnings and errors go to standard error.
logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def show_transfer(progress):
    """Is called some times per second while files travel by version 2, and once at the end."""
    if progress.total is not None:
        percent = progress.done * 100 // progress.total if progress.total else 100
        print(f"\rPercent complete: {percent}%", end="", flush=True)


def show_progress(segment):
    """Is called after each segment that the service has stored."""
    percent = 100
    if segment.total_segments:
        percent = segment.segments_received * 100 // segment.total_segments
    print(f"\rPercent complete: {percent}%", end="", flush=True)
