import ssl
from collections.abc import Callable
from socket import socket as Socket
from threading import Lock, Thread
from typing import Any

MQTTv311: int
MQTT_ERR_AGAIN: int
MQTT_ERR_INVAL: int
MQTT_ERR_SUCCESS: int
MQTT_ERR_PROTOCOL: int
MQTT_ERR_CONN_LOST: int
MQTT_LOG_ERR: int
time_func: Callable[[], float]

class MQTTMessage:
    topic: str
    payload: bytes | memoryview
    timestamp: float
    def __init__(self, mid: int = 0, topic: bytes = b"") -> None: ...

class Client:
    _host: str
    _port: int
    _sock: Socket | Any
    _sockpairW: Socket
    _thread: Thread | None
    _thread_terminate: bool
    _in_packet: dict[str, Any]
    _last_msg_in: float
    _msgtime_mutex: Lock
    def __init__(
        self,
        client_id: str = "",
        clean_session: bool = True,
        userdata: object = None,
        protocol: int = ...,
        transport: str = "tcp",
    ) -> None: ...
    def tls_set_context(self, context: ssl.SSLContext | None = None) -> None: ...
    def loop_stop(self, force: bool = False) -> int | None: ...
    def socket(self) -> Socket: ...
    def _get_proxy(self) -> object: ...
    def _create_socket_connection(self) -> Socket: ...
    def _packet_queue(
        self,
        command: int,
        packet: bytearray | memoryview,
        mid: int,
        qos: int,
        info: object = None,
    ) -> int: ...
    def _packet_read(self) -> int: ...
    def _packet_handle(self) -> int: ...
    def _handle_publish(self) -> int: ...
    def _handle_on_message(self, message: MQTTMessage) -> None: ...
    def _call_socket_register_write(self) -> None: ...
    def _easy_log(self, level: int, fmt: str, *args: object) -> None: ...
