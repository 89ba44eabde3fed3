"""Shows the transfers of a server, and changes one of them.

    python sample/jetstream/jetstream_control_example.py USER
    python sample/jetstream/jetstream_control_example.py USER TRANSFER suspend
    python sample/jetstream/jetstream_control_example.py USER TRANSFER resume
    python sample/jetstream/jetstream_control_example.py USER TRANSFER rate KBIT_PER_SECOND
    python sample/jetstream/jetstream_control_example.py USER TRANSFER lane NAME

USER is a user of the server on this machine, TRANSFER the id of a transfer. The password is asked
for, or is in the environment variable JETSTREAM_API_PASSWORD.
"""

import getpass
import os
import sys

from jetstream import Jetstream, JetstreamError

ACTIONS = {"suspend": 0, "resume": 0, "rate": 1, "lane": 1}  # with so many values

user, *order = sys.argv[1:] or [""]
if not user or (order and (len(order) < 2 or ACTIONS.get(order[1]) != len(order) - 2)):
    sys.exit(
        "Usage: jetstream_control_example.py USER "
        "[TRANSFER suspend | resume | rate KBIT_PER_SECOND | lane NAME]"
    )
password = os.environ.get("JETSTREAM_API_PASSWORD") or getpass.getpass(f"Password of {user}: ")


def change(send, transfer, action, value=None):
    """Ask for a change; returns the request, which the server carries out when its turn comes."""
    if action == "suspend":
        return send.suspendTransferAsync(transfer)
    if action == "resume":
        return send.resumeTransferAsync(transfer)
    if action == "rate":
        return send.setTransferSendRateMaxAsync(transfer, float(value))
    return send.setTransferPriorityAsync(transfer, priorityLane=value)


try:
    with Jetstream().api() as api:
        api.server.auth(user, password)
        if order:
            # Wait until it was carried out; an error of the server is raised here at the latest
            api.send.getRequestResult(change(api.send, *order))
        for transfer in api.send.getTransfers():
            megabytes = f"{transfer['totalBytes'] / 1e6:.1f} MB"
            names = ("transferId", "status", "priorityLane", "errorMessage")
            print(megabytes, *(transfer[name] for name in names), sep="\t")
except (JetstreamError, ValueError) as error:
    sys.exit(str(error))
