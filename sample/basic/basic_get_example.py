"""Gets a file or a directory with everything in it from a file transfer service on the fabric.

    python sample/basic/basic_get_example.py NAME [DIR]

NAME is the name below the storage directory of the service. It goes into the directory DIR, or into
the current one. Interrupt it and start it again: it goes on where it stopped.
"""

import os
import sys

from dxlbootstrap.util import MessageUtils
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig

from dxlfiletransferclient import FileTransferClient

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import CONFIG_FILE, show_transfer

if len(sys.argv) not in (2, 3):
    sys.exit("Usage: basic_get_example.py NAME [DIR]")

name_on_server = sys.argv[1]
target_directory = f"{sys.argv[2]}/" if len(sys.argv) == 3 else "./"

# Create the DXL client
with DxlClient(DxlClientConfig.create_dxl_config_from_file(CONFIG_FILE)) as dxl_client:
    # Connect to the fabric
    dxl_client.connect()

    # Get everything; each file appears under its name when it is whole and its SHA-256 was compared
    client = FileTransferClient(dxl_client)
    report = client.get(name_on_server, target_directory, progress=show_transfer)

    # Show what became of each file
    print("\nFiles:")
    for outcome in report.outcomes:
        print(f"{outcome.result}: {outcome.path} {outcome.error or outcome.size}")
    print("Report:")
    summary = {"files": report.files, "bytes": report.bytes, "failed": report.failed}
    print(MessageUtils.dict_to_json(summary, pretty_print=True))
    print(f"Elapsed time (ms): {report.seconds * 1000:.3f}")

    # An error unless all of them are here
    report.raise_for_failure()
