"""The server's side of TLS between bytes and bytes, without a socket."""

import ssl

from dxlfabric.credentials import Credentials
from dxlfabric.errors import CertificateError
from dxlfabric.message import Body

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:AES128-SHA256"
"""Ciphers for TLS 1.2, best first. The last is the only one that the official client offers there;
with TLS 1.3, which it speaks too, the ciphers are those of the protocol."""


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


class SecureStream:
    """Encrypts and decrypts one connection.

    Received bytes go in by :meth:`feed` and come out of :meth:`read_into`; bytes to send go in by
    :meth:`write`, and what is to go over the network comes out of :meth:`take`.

    Args:
        context: What :func:`server_context` returns.
    """

    __slots__ = ("_incoming", "_outgoing", "_stream")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._stream = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

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
            The client's certificate in DER form once the handshake is done; None until then.

        Raises:
            ssl.SSLError: The client is refused. :meth:`take` has what tells it so.
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
            client has said goodbye.

        Raises:
            ssl.SSLError: What was received is no TLS, or was changed on the way.
        """
        read = self._stream.read
        size = len(buffer)
        filled = 0
        try:
            while filled < size:
                # At most one record of 16 KiB comes out at a time.
                count = read(size - filled, buffer[filled:])
                if not count:
                    break
                filled += count  # type: ignore[operator]
        except ssl.SSLWantReadError:
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
            # The client's own goodbye is not waited for.
            return

    def take(self) -> bytes:
        """Return and forget the encrypted bytes."""
        return self._outgoing.read()
