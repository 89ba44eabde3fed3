"""Sends files with the client that is installed; run by the Python of the published packages.

peer_send.py CONFIGURATION NAME=FILE… prints one line of JSON for each file.
"""

import json
import sys

from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig

from dxlfiletransferclient import FileTransferClient

if __name__ == "__main__":
    config = DxlClientConfig.create_dxl_config_from_file(sys.argv[1])
    with DxlClient(config) as dxl_client:
        dxl_client.connect()
        client = FileTransferClient(dxl_client)
        for argument in sys.argv[2:]:
            name, _, path = argument.partition("=")
            sys.stdout.write(json.dumps(client.send_file_request(path, name).to_dict()) + "\n")
