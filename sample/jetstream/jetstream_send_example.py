"""Has a transfer server send files, and shows how far it is.

    python sample/jetstream/jetstream_send_example.py USER RECEIVER PATH...

USER is a user of the server on this machine, and of the one at RECEIVER (a host name or address,
with the port after a colon if it is not 8886), with the same password there, which is asked for, or
is in the environment variable JETSTREAM_API_PASSWORD. PATH is an absolute path at the server. The
program may be interrupted: the server goes on.
"""

import getpass
import os
import sys
import time

from jetstream import Helper, Jetstream, JetstreamError
from jetstream.constants import DEFAULT_API_PORT

if len(sys.argv) < 4:
    sys.exit("Usage: jetstream_send_example.py USER RECEIVER PATH...")

user, receiver, *paths = sys.argv[1:]
address, _, port = receiver.partition(":")
if port and not port.isdecimal():
    sys.exit(f"{receiver}: after the colon, there has to be the number of a port")
password = os.environ.get("JETSTREAM_API_PASSWORD") or getpass.getpass(f"Password of {user}: ")

try:
    # Connect to the server on this machine, and disconnect in the end
    with Jetstream().api() as api:
        api.server.auth(user, password)

        # Say what is to be sent, and wait until the server has found all of it
        manifest = api.send.createManifest(mappings=Helper.getFileMappings(paths))
        manifest = api.send.waitForManifest(manifest)
        if manifest["status"] == "error":
            sys.exit(f"Cannot send: {manifest['errorMessage']}")
        print(f"files: {manifest['totalFiles']}, bytes: {manifest['totalSize']}")

        # Say where to, and begin
        destination = api.send.createDestination(
            address, destinationPort=int(port or DEFAULT_API_PORT)
        )
        transfer = api.send.createTransfer(destination, manifest, userName=user, password=password)

        # Show how far it is
        while transfer["processing"]:
            percent = 100 * transfer["blocksAcked"] // max(transfer["totalBlocks"], 1)
            print(f"\r{transfer['status']}: {percent}%  ", end="", flush=True)
            time.sleep(0.5)
            transfer = api.send.getTransfer(transfer)
        print(f"\r{transfer['status']} {transfer['errorMessage']}")
except JetstreamError as error:
    sys.exit(str(error))

sys.exit(transfer["status"] != "complete")
