"""What a transfer may send at the moment."""

from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferservice.courier.turns import Turns


class Allowances:
    """What the receiver and the rates allow a transfer at the moment; a ``packing.Limits``.

    Args:
        engine: Knows what the receiver allows.
        turns: Know what the rates allow.
        transfer_id: Number of the transfer.
    """

    def __init__(self, engine: Engine, turns: Turns, transfer_id: int) -> None:
        self._engine = engine
        self._turns = turns
        self._transfer_id = transfer_id

    def largest(self) -> int:
        """Return how many bytes a message may have at the receiver."""
        return self._engine.hello.segment_size

    def size(self) -> int:
        """Return how many bytes the next message should have at most."""
        return self._turns.size(self._transfer_id)

    def granted(self, window: int) -> None:
        """Take over how many bytes the receiver lets be outstanding."""
        self._engine.limit(window)
