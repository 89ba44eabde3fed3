import ssl
from collections import deque
from collections.abc import Callable
from socket import socket as Socket
from threading import Lock, Thread
from typing import Any

MQTTv311: int

class MQTTMessage:
    topic: str
    payload: bytes

class MQTTMessageInfo:
    rc: int

class Client:
    _host: str
    _port: int
    _sock: Socket | Any
    _sockpairW: Socket
    _thread: Thread | None
    _thread_terminate: bool
    _out_packet: deque[dict[str, Any]]
    _out_packet_mutex: Lock
    _current_out_packet: dict[str, Any] | None
    on_message: Callable[..., object] | None
    def __init__(
        self,
        client_id: str = "",
        clean_session: bool = True,
        userdata: object = None,
        protocol: int = ...,
        transport: str = "tcp",
    ) -> None: ...
    def tls_insecure_set(self, value: bool) -> None: ...
    def publish(self, topic: str, payload: bytes, qos: int = 0) -> MQTTMessageInfo: ...
    def tls_set_context(self, context: ssl.SSLContext | None = None) -> None: ...
    def loop_stop(self, force: bool = False) -> int | None: ...
    def _get_proxy(self) -> object: ...
    def _create_socket_connection(self) -> Socket: ...
