"""Makes calls to a service that speaks version 2."""

from typing import Generic, Protocol, TypeVar

from dxlfiletransferclient.calls.ledger import Ledger
from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.exchange.bus import Bus
from dxlfiletransferclient.exchange.cancelling import Cancellation
from dxlfiletransferclient.exchange.engine import Engine, EngineOptions
from dxlfiletransferclient.outcomes import OutcomeCallback
from dxlfiletransferclient.progress import Phase, ProgressCallback


class CallOptions(Protocol):
    """What may be chosen about any call."""

    @property
    def engine(self) -> EngineOptions:
        """What concerns the exchange with the service."""
        ...


Options = TypeVar("Options", bound=CallOptions)


class Caller(Generic[Options]):
    """Makes calls over a bus, one at a time.

    Args:
        bus: The bus.
        store_topic: Topic on which the service takes store requests.
        options: What may be chosen.
        cancel: Ends what is going on; it can be gone on with.
        progress: Is called with the progress, some times per second and at the end.
        on_outcome: Is called with the outcome of each file.
    """

    _defaults: Options
    """The options of a caller that chooses none."""

    def __init__(
        self,
        bus: Bus,
        store_topic: str = DEFAULT_STORE_TOPIC,
        *,
        options: Options | None = None,
        cancel: Cancellation | None = None,
        progress: ProgressCallback | None = None,
        on_outcome: OutcomeCallback | None = None,
    ) -> None:
        self._bus = bus
        self._store_topic = store_topic
        self._options = self._defaults if options is None else options
        self._cancel = cancel
        self._progress = progress
        self._on_outcome = on_outcome

    def _connected_engine(self, key: str) -> Engine:
        """Return an engine that has found a service, for one call.

        Args:
            key: What the call is about: decides between several instances.
        """
        engine = Engine(
            self._bus,
            self._store_topic,
            key=key,
            options=self._options.engine,
            cancel=self._cancel,
        )
        engine.connect()
        return engine

    def _new_ledger(self, phase: Phase) -> Ledger:
        """Return the ledger of a call that begins now."""
        return Ledger(self._progress, self._on_outcome, now=self._bus.now(), phase=phase)
