"""TLS between bytes and bytes, without a socket, and what both sides offer there."""

import ssl
from collections.abc import Callable
from typing import Final

from dxlfabric.credentials import Credentials
from dxlfabric.errors import CertificateError
from dxlfabric.message import Body

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:AES128-SHA256"
"""Ciphers for TLS 1.2, best first. The last is the only one that the official client offers there,
and that old brokers take; with TLS 1.3 the ciphers are those of the protocol."""

RECORD_SIZE: Final = 16 * 1024
"""Bytes that TLS carries in one record, at most."""

LARGEST_RECORD: Final = RECORD_SIZE + 2048 + 5
"""Bytes of such a record on the network: TLS 1.2 allows for 2048 more, and each has a header."""


def server_context(credentials: Credentials) -> ssl.SSLContext:
    """Return a context that lets in clients with a certificate of the right CA, and nobody else.

    Raises:
        CertificateError: A file is missing, unreadable or does not belong to the others.
    """
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(credentials.authority)
        context.load_cert_chain(credentials.certificate, credentials.private_key)
    except OSError as error:
        raise CertificateError(
            f"the broker cannot use {credentials.certificate}, {credentials.private_key} and "
            f"{credentials.authority}: {error}"
        ) from error
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    # A resumed session would leave the client's certificate unseen.
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context


def client_context(
    credentials: Credentials, *, password: Callable[[], str] | None = None
) -> ssl.SSLContext:
    """Return a context that trusts brokers with a certificate of the right CA, under any name.

    Set its ``check_hostname`` to have them prove their name as well.

    Args:
        credentials: The CA of brokers, and the client's own certificate and private key.
        password: Called for the password of an encrypted key. By default there is none, and such
            a key is refused.

    Raises:
        OSError: A file cannot be read, or holds something else (``ssl.SSLError``).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As the official client: whoever holds a certificate of the fabric's CA is a broker.
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.load_verify_locations(credentials.authority)
    # Without a password OpenSSL would ask on the terminal and wait for ever.
    context.load_cert_chain(
        credentials.certificate, credentials.private_key, password=password or ""
    )
    return context


class SecureStream:
    """Encrypts and decrypts one connection.

    Received bytes go in by :meth:`feed` and come out of :meth:`read_into`; bytes to send go in by
    :meth:`write`, and what is to go over the network comes out of :meth:`take`.

    Args:
        context: What it is made with.
        host: The server to connect to, which has to prove its name if the context says so;
            ``None`` on the server's side.

    Raises:
        ValueError: The host cannot be announced to a server: its name begins with a dot, say.

    Attributes:
        drained: Whether :meth:`read_into` has found everything that was received so far, so that
            it would only tell that there is nothing more.
    """

    __slots__ = ("_incoming", "_outgoing", "_read", "_stream", "drained")

    def __init__(self, context: ssl.SSLContext, *, host: str | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._stream = context.wrap_bio(
            self._incoming, self._outgoing, server_side=host is None, server_hostname=host
        )
        self._read = self._stream.read
        self.drained = False

    @property
    def pending(self) -> int:
        """Encrypted bytes that :meth:`take` would return."""
        return self._outgoing.pending

    def feed(self, data: Body) -> None:
        """Take in bytes from the network."""
        self._incoming.write(data)

    def handshake(self) -> bytes | None:
        """Go on with the handshake.

        Returns:
            The peer's certificate in DER form once the handshake is done; None until then.

        Raises:
            ssl.SSLError: The peer is refused, or refuses. :meth:`take` has what tells it so.
        """
        try:
            self._stream.do_handshake()
        except ssl.SSLWantReadError:
            return None
        return self._stream.getpeercert(binary_form=True)

    def read_into(self, buffer: memoryview) -> int | None:
        """Decrypt into ``buffer`` until it is full or nothing more has been received.

        Returns:
            The number of bytes written to it; None if more must be received first, and 0 once the
            peer has said goodbye.

        Raises:
            ssl.SSLError: What was received is no TLS, or was changed on the way.
        """
        read, incoming = self._read, self._incoming
        size = len(buffer)
        filled = 0
        self.drained = False
        try:
            # At most one record comes out at a time. So many are whole and have room for certain,
            # and need no look at what is left; after a goodbye they are empty.
            for _ in range(min(incoming.pending // LARGEST_RECORD, size // RECORD_SIZE)):
                filled += read(size, buffer[filled:])  # type: ignore[operator]
            while filled < size:
                count = read(size - filled, buffer[filled:])
                if not count:
                    return filled
                filled += count  # type: ignore[operator]
                # What was not read of a record, or of others, is still on either side of TLS: where
                # neither has anything, it need not be asked, which it would answer by an exception.
                if not incoming.pending and (filled < size or not self._stream.pending()):
                    self.drained = True
                    break
        except ssl.SSLWantReadError:
            self.drained = True
            return filled or None
        return filled

    def write(self, data: Body) -> None:
        """Encrypt bytes, of which there is at least one."""
        self._stream.write(data)

    def say_goodbye(self) -> None:
        """Encrypt the notice that nothing more will come.

        Raises:
            ssl.SSLError: The stream is broken already.
        """
        try:
            self._stream.unwrap()
        except ssl.SSLWantReadError:
            # The peer's own goodbye is not waited for.
            return

    def take(self) -> bytes:
        """Return and forget the encrypted bytes."""
        return self._outgoing.read()
