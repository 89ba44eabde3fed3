import ssl
from socket import socket as Socket

MQTTv311: int

class Client:
    _host: str
    _port: int
    def __init__(
        self,
        client_id: str = "",
        clean_session: bool = True,
        userdata: object = None,
        protocol: int = ...,
        transport: str = "tcp",
    ) -> None: ...
    def tls_set_context(self, context: ssl.SSLContext | None = None) -> None: ...
    def socket(self) -> Socket: ...
    def _get_proxy(self) -> object: ...
    def _create_socket_connection(self) -> Socket: ...
