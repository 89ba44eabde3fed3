"""Standard input as a stream to send, whose reading can be ended."""

from dxlfiletransferclient.exchange.cancelling import Cancellation
from dxlfiletransferclient.sending.pipes import DescriptorStream


class StandardInput(DescriptorStream):
    """What a program or person writes to this process.

    Args:
        cancellation: Ends a read that waits.
        descriptor: Where to read; standard input by default.
    """

    def __init__(self, cancellation: Cancellation, descriptor: int = 0) -> None:
        super().__init__(descriptor, cancellation)
