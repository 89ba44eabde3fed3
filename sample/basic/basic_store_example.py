"""Sends a file to a running file transfer service with nothing but the DXL client.

    python sample/basic/basic_store_example.py FILE [DIR]

It shows what goes over the wire, for those who write a client of their own: requests on the store
topic, one for each segment, strictly in order. FILE is stored under its own name below the storage
directory of the service, in the subdirectory DIR if that is given.
"""

import hashlib
import os
import sys
import time

from dxlbootstrap.util import MessageUtils
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.message import Message, Request

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import CONFIG_FILE

# Topic on which the service takes segments
STORE_TOPIC = "/opendxl-file-transfer/service/file-transfer/file/store"

# Bytes of one segment; the whole message must stay below the 1 MiB that brokers take
SEGMENT_SIZE = 50 * 1024

# Seconds to wait for the answer to one segment
RESPONSE_TIMEOUT = 30


def send_segment(segment, fields, service_id):
    """Send one segment and return the response of the service."""
    request = Request(STORE_TOPIC)
    request.payload = segment
    # All parameters are strings
    request.other_fields = fields
    # Where several instances of the service run, only the one that answered first knows the file
    request.service_id = service_id
    response = dxl_client.sync_request(request, timeout=RESPONSE_TIMEOUT)
    if response.message_type == Message.MESSAGE_TYPE_ERROR:
        sys.exit(f"\nError: {response.error_message} ({response.error_code})")
    return response


if len(sys.argv) not in (2, 3):
    sys.exit("Usage: basic_store_example.py FILE [DIR]")

file_to_send = sys.argv[1]
directory_on_server = sys.argv[2] if len(sys.argv) == 3 else ""
name_on_server = os.path.join(directory_on_server, os.path.basename(file_to_send))

# Create the DXL client
with (
    DxlClient(DxlClientConfig.create_dxl_config_from_file(CONFIG_FILE)) as dxl_client,
    open(file_to_send, "rb") as file,
):
    # Connect to the fabric
    dxl_client.connect()

    start = time.monotonic()
    size = os.path.getsize(file_to_send)
    # An empty file is one empty segment
    total_segments = max(1, -(-size // SEGMENT_SIZE))
    sha256 = hashlib.sha256()
    file_id = None
    service_id = ""

    for number in range(1, total_segments + 1):
        segment = file.read(SEGMENT_SIZE)
        sha256.update(segment)

        # The first segment has the number 1
        fields = {"segment_number": str(number)}

        # The answer to the first segment tells the id of the file, which all others carry
        if file_id:
            fields["file_id"] = file_id

        # The last segment asks to store the file, and says how to check it
        if number == total_segments:
            fields["result"] = "store"
            fields["name"] = name_on_server
            fields["size"] = str(size)
            fields["hash_sha256"] = sha256.hexdigest()

        response = send_segment(segment, fields, service_id)
        answer = MessageUtils.json_payload_to_dict(response)
        file_id = answer["file_id"]
        service_id = response.service_id
        print(f"\rPercent complete: {number * 100 // total_segments}%", end="", flush=True)

    elapsed = (time.monotonic() - start) * 1000

    # Show what the service said about the file
    print("\nResponse to the request for the last segment:")
    print(MessageUtils.dict_to_json(answer, pretty_print=True))
    print(f"Elapsed time (ms): {elapsed:.3f}")
