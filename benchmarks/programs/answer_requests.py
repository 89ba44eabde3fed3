"""A service that answers each request with a few bytes and does nothing else.

Usage: answer_requests.py CLIENT CONFIG TOPIC, where CLIENT is ``official`` or ``fabric``. Prints
``ready`` once it is registered; ends with its standard input.
"""

import sys

from dxlclient.callbacks import RequestCallback
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.message import Request, Response
from dxlclient.service import ServiceRegistrationInfo

from dxlfabric.client import FabricClient
from dxlfabric.memory import keep_freed_memory

REGISTRATION_SECONDS = 30


class _Answer(RequestCallback):
    def __init__(self, dxl_client: DxlClient) -> None:
        self._dxl_client = dxl_client

    def on_request(self, request: Request) -> None:
        response = Response(request)
        response.payload = b"ok"
        self._dxl_client.send_response(response)


def main() -> None:
    """Do what the module says."""
    client, configuration, topic = sys.argv[1:]
    if client == "fabric":
        keep_freed_memory()  # as the transfer service does
    make: type[DxlClient] = FabricClient if client == "fabric" else DxlClient
    with make(DxlClientConfig.create_dxl_config_from_file(configuration)) as dxl_client:
        dxl_client.connect()
        service = ServiceRegistrationInfo(dxl_client, "/benchmark")
        service.add_topic(topic, _Answer(dxl_client))
        dxl_client.register_service_sync(service, REGISTRATION_SECONDS)
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
