"""Sends a file or a directory with everything in it to a file transfer service on the fabric.

    python sample/basic/basic_send_example.py PATH [DIR]

PATH is stored under its own name below the storage directory of the service, in the subdirectory
DIR if that is given. Interrupt it and start it again: it goes on where it stopped.
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
    sys.exit("Usage: basic_send_example.py PATH [DIR]")

path_to_send = sys.argv[1]
directory_on_server = f"{sys.argv[2]}/" if len(sys.argv) == 3 else ""

# Create the DXL client
with DxlClient(DxlClientConfig.create_dxl_config_from_file(CONFIG_FILE)) as dxl_client:
    # Connect to the fabric
    dxl_client.connect()

    # Send everything and wait until it is stored; a file that fails does not stop the others
    client = FileTransferClient(dxl_client)
    report = client.send(path_to_send, directory_on_server, progress=show_transfer)

    # Show what became of each file
    print("\nFiles:")
    for outcome in report.outcomes:
        print(f"{outcome.result}: {outcome.name} {outcome.error or outcome.size}")
    print("Report:")
    summary = {"files": report.files, "bytes": report.bytes, "failed": report.failed}
    print(MessageUtils.dict_to_json(summary, pretty_print=True))
    print(f"Elapsed time (ms): {report.seconds * 1000:.3f}")

    # An error unless all of them are stored
    report.raise_for_failure()
