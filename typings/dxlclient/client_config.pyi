from dxlclient.broker import Broker

class DxlClientConfig:
    broker_ca_bundle: str
    cert_file: str
    private_key: str
    brokers: list[Broker]
    websocket_brokers: list[Broker]
    proxy_addr: str | None
    connect_retries: int
    keep_alive_interval: int
    reconnect_when_disconnected: bool
    reconnect_delay: float
    reconnect_delay_max: float
    incoming_message_queue_size: int
    incoming_message_thread_pool_size: int
    _client_id: str
    @property
    def use_websockets(self) -> bool: ...
    def __init__(
        self, broker_ca_bundle: str, cert_file: str, private_key: str, brokers: list[Broker]
    ) -> None: ...
    @staticmethod
    def create_dxl_config_from_file(dxl_config_file: str) -> DxlClientConfig: ...
    def write(self, file_path: str) -> None: ...
