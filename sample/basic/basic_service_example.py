"""Runs a service that stores files on a topic of its own, and sends it a file.

    python sample/basic/basic_service_example.py FILE [DIR]

FILE is stored under its own name in STORAGE_DIR (see below), in the subdirectory DIR if that is
given. Service and client share one connection here; usually they are on different machines.
"""

import os
import sys
import time

from dxlbootstrap.util import MessageUtils
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.service import ServiceRegistrationInfo

from dxlfiletransferclient import FileTransferClient
from dxlfiletransferservice.requesthandlers import FileStoreRequestCallback

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import CONFIG_FILE, show_progress

# Directory under which the service stores files; a relative one counts from the current directory
STORAGE_DIR = "stored-files"

# Type of the service, and the topic on which it takes files
SERVICE_TYPE = "/opendxl-file-transfer/sample/basic-service"
STORE_TOPIC = SERVICE_TYPE + "/store"

# Seconds to wait for the broker to confirm that the service is registered
REGISTRATION_TIMEOUT = 10


if len(sys.argv) not in (2, 3):
    sys.exit("Usage: basic_service_example.py FILE [DIR]")

file_to_send = sys.argv[1]
directory_on_server = sys.argv[2] if len(sys.argv) == 3 else ""

# Create the DXL client
with DxlClient(DxlClientConfig.create_dxl_config_from_file(CONFIG_FILE)) as dxl_client:
    # Connect to the fabric
    dxl_client.connect()

    # Put a callback that stores files on the topic, and register the service
    callback = FileStoreRequestCallback(dxl_client, STORAGE_DIR)
    info = ServiceRegistrationInfo(dxl_client, SERVICE_TYPE)
    info.add_topic(STORE_TOPIC, callback)
    dxl_client.register_service_sync(info, REGISTRATION_TIMEOUT)

    try:
        # Send the file to the service and wait until it is stored
        client = FileTransferClient(dxl_client, STORE_TOPIC)
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
    finally:
        dxl_client.unregister_service_sync(info, REGISTRATION_TIMEOUT)
        callback.close()
