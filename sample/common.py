"""What the samples share: the configuration of the DXL client and the log."""

import logging
import os
from pathlib import Path

# The configuration of the client: the file beside this one, unless the environment names another.
CONFIG_FILE = os.environ.get("DXLCLIENT_CONFIG") or str(Path(__file__).parent / "dxlclient.config")

# Warnings and errors go to standard error.
logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
