"""Stores files by version 2 behind the official client, with none of this project's below it.

Usage: serve_plain.py CONFIG STORAGE. Prints ``ready`` once it is registered; ends with its standard
input.
"""

import sys

from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.service import ServiceRegistrationInfo

from dxlfabric.memory import keep_freed_memory
from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC, SERVICE_TYPE
from dxlfiletransferclient.protocol.desk import Desk
from dxlfiletransferclient.store import FileStoreManager
from dxlfiletransferservice.settings import PoolSettings
from dxlfiletransferservice.verbhandlers import verb_callbacks

REGISTRATION_SECONDS = 30


def main() -> None:
    """Do what the module says."""
    keep_freed_memory()  # as the service does
    configuration, storage = sys.argv[1:]
    config = DxlClientConfig.create_dxl_config_from_file(configuration)
    pool = PoolSettings()
    config.incoming_message_queue_size = pool.queue_size
    config.incoming_message_thread_pool_size = pool.thread_count
    with FileStoreManager(storage) as store, DxlClient(config) as dxl_client:
        dxl_client.connect()
        service = ServiceRegistrationInfo(dxl_client, SERVICE_TYPE)
        callbacks = verb_callbacks(dxl_client, Desk(store.files), DEFAULT_STORE_TOPIC)
        for topic, callback in callbacks.items():
            service.add_topic(topic, callback)
        dxl_client.register_service_sync(service, REGISTRATION_SECONDS)
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
