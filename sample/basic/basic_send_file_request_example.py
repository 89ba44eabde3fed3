"""Sends a file to a file transfer service that is running on the fabric.

    python sample/basic/basic_send_file_request_example.py FILE [DIR]

FILE is stored under its own name below the storage directory of the service, in the subdirectory
DIR if that is given.
"""

import os
import sys
import time

from dxlbootstrap.util import MessageUtils
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig

from dxlfiletransferclient import FileTransferClient

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import CONFIG_FILE, show_progress

if len(sys.argv) not in (2, 3):
    sys.exit("Usage: basic_send_file_request_example.py FILE [DIR]")

file_to_send = sys.argv[1]
directory_on_server = sys.argv[2] if len(sys.argv) == 3 else ""

# Create the DXL client
with DxlClient(DxlClientConfig.create_dxl_config_from_file(CONFIG_FILE)) as dxl_client:
    # Connect to the fabric
    dxl_client.connect()

    # Send the file and wait until it is stored
    client = FileTransferClient(dxl_client)
    start = time.monotonic()
    result = client.send_file_request(
        file_to_send,
        file_name_on_server=os.path.join(directory_on_server, os.path.basename(file_to_send)),
        callback=show_progress,
    )
    elapsed = (time.monotonic() - start) * 1000

    # Show id, size and hashes of the stored file
    print("\nResponse:")
    print(MessageUtils.dict_to_json(result.to_dict(), pretty_print=True))
    print(f"Elapsed time (ms): {elapsed:.3f}")
