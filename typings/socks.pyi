from socket import socket

def create_connection(
    dest_pair: tuple[str, int], timeout: float | None = None, **proxy: object
) -> socket: ...
