"""Lists what a file transfer service on the fabric has stored in a directory, and removes it.

    python sample/basic/basic_list_example.py DIR [remove]

DIR is a directory below the storage directory of the service. It is removed, with everything in it,
only if the word "remove" is given.
"""

import os
import sys

from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig

from dxlfiletransferclient import FileTransferClient

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import CONFIG_FILE

if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["remove"]):
    sys.exit("Usage: basic_list_example.py DIR [remove]")

directory_on_server = sys.argv[1]

# Create the DXL client
with DxlClient(DxlClientConfig.create_dxl_config_from_file(CONFIG_FILE)) as dxl_client:
    # Connect to the fabric
    dxl_client.connect()

    # List everything; the service is asked page by page, so there may be any number of files
    client = FileTransferClient(dxl_client)
    for entry in client.list(directory_on_server, recursive=True):
        print(f"{entry.kind}: {entry.name} {entry.size}")

    # Remove everything
    if sys.argv[2:] == ["remove"]:
        print("Removed:", client.remove(directory_on_server, recursive=True))
