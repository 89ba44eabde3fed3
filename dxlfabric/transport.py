"""The official client's MQTT layer, made to connect within bounds and to copy packets less."""

import contextlib
import socket
import ssl
from typing import Any

import pahoproxy.client as paho

from dxlfabric.diagnosis import open_socket

RECONNECT_TIMEOUT = 10.0
"""Seconds for TCP, and again for TLS, when a client that was connected reconnects by itself. Left
alone, the official client waits for as long as its keep-alive interval, half an hour."""

_QOS_BITS = 0x06
_MORE_BIT = 0x80
_LONGEST_LENGTH = 4
_TOPIC_LENGTH = 2


class Transport(paho.Client):
    """What an official client talks to its broker by.

    As it is, the layer puts a packet together by copying what it has with each piece of 16 KiB that
    comes, and cuts what is left to be sent off again with each piece that goes. This one reads into
    one buffer and writes from views.
    """

    def tls_set_context(self, context: ssl.SSLContext | None = None) -> None:
        """Use a TLS context, and end handshakes in time."""
        if context is not None:
            context.sslsocket_class = _PromptSocket
        super().tls_set_context(context)

    def loop_stop(self, force: bool = False) -> int | None:  # noqa: FBT001, FBT002 - the base class's
        """Stop the network thread, and wake it; left alone, it notices up to a second later."""
        if self._thread is not None:
            self._thread_terminate = True
            with contextlib.suppress(BlockingIOError):  # so many wake it already
                self._sockpairW.send(b"0")
        return super().loop_stop(force)

    def _create_socket_connection(self) -> socket.socket:
        if self._get_proxy():
            connection: socket.socket = super()._create_socket_connection()
            return connection
        return open_socket(self._host, self._port, timeout=RECONNECT_TIMEOUT)

    def _packet_queue(
        self, command: int, packet: bytearray | memoryview, mid: int, qos: int, info: object = None
    ) -> int:
        return super()._packet_queue(command, memoryview(packet), mid, qos, info)

    def _packet_read(self) -> int:
        if not hasattr(self._sock, "recv_into"):
            return super()._packet_read()  # through WebSockets
        packet = self._in_packet
        try:
            if not self._read_header(packet) or not self._read_rest(packet):
                return paho.MQTT_ERR_CONN_LOST
        except (ssl.SSLWantReadError, BlockingIOError):
            return paho.MQTT_ERR_AGAIN
        except ssl.SSLWantWriteError:
            self._call_socket_register_write()
            return paho.MQTT_ERR_AGAIN
        except OSError as error:
            self._easy_log(paho.MQTT_LOG_ERR, "failed to receive on socket: %s", error)
            return paho.MQTT_ERR_CONN_LOST
        except ValueError:
            return paho.MQTT_ERR_PROTOCOL
        packet["pos"] = 0
        code = self._packet_handle()
        self._in_packet = _nothing_read()
        with self._msgtime_mutex:
            self._last_msg_in = paho.time_func()
        return code

    def _read_header(self, packet: dict[str, Any]) -> bool:
        """Read type and length; false if the connection has ended."""
        while not packet["have_remaining"]:
            byte = self._sock.recv(1)
            if not byte:
                return False
            if not packet["command"]:
                packet["command"] = byte[0]
                continue
            packet["remaining_count"].append(byte[0])
            if len(packet["remaining_count"]) > _LONGEST_LENGTH:
                raise ValueError("the length of a packet is malformed")
            if not byte[0] & _MORE_BIT:
                length = sum(
                    (each & ~_MORE_BIT) << 7 * place
                    for place, each in enumerate(packet["remaining_count"])
                )
                packet.update(have_remaining=1, remaining_length=length, to_process=length)
                packet["packet"] = bytearray(length)
        return True

    def _read_rest(self, packet: dict[str, Any]) -> bool:
        """Read what follows the length; false if the connection has ended."""
        view = memoryview(packet["packet"])
        while packet["to_process"]:
            count = self._sock.recv_into(view[-packet["to_process"] :])
            if not count:
                return False
            packet["to_process"] -= count
        return True

    def _handle_publish(self) -> int:
        packet = self._in_packet["packet"]
        if self._in_packet["command"] & _QOS_BITS or not isinstance(packet, bytearray):
            return super()._handle_publish()
        view = memoryview(packet)
        start = _TOPIC_LENGTH + int.from_bytes(view[:_TOPIC_LENGTH], "big")
        if not _TOPIC_LENGTH < start <= len(view):
            return paho.MQTT_ERR_PROTOCOL
        message = paho.MQTTMessage(topic=bytes(view[_TOPIC_LENGTH:start]))
        message.payload = view[start:]
        message.timestamp = paho.time_func()
        self._handle_on_message(message)
        return paho.MQTT_ERR_SUCCESS


class _PromptSocket(ssl.SSLSocket):
    """A TLS connection whose handshake ends in time."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - ssl's signature
        self.settimeout(RECONNECT_TIMEOUT)
        super().do_handshake(block)


def _nothing_read() -> dict[str, Any]:
    """Return what the layer knows of a packet of which nothing has come yet."""
    return {
        "command": 0,
        "have_remaining": 0,
        "remaining_count": [],
        "remaining_mult": 1,
        "remaining_length": 0,
        "packet": b"",
        "to_process": 0,
        "pos": 0,
    }
