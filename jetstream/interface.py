"""What the interfaces of the API have in common."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jetstream.syncinterface import SyncInterface

if TYPE_CHECKING:
    from jetstream.apiinterface import APIInterface


class Interface:
    """Methods that call commands.

    Args:
        api_interface: The API that it belongs to.
        sync_interface: Calls the commands.
        logging_interface: Takes note of them; never of their arguments, which may be secret.

    Attributes:
        api: The API that it belongs to.
    """

    def __init__(
        self,
        api_interface: "APIInterface | None",
        sync_interface: SyncInterface,
        logging_interface: logging.Logger,
    ) -> None:
        self.api = api_interface
        self._sync = sync_interface
        self._logger = logging_interface

    def _call(self, command: str, **arguments: Any) -> Any:
        self._logger.debug("calling %s", command)
        # Whatever else an argument is travels as it is: the server says what is wrong with it.
        plain = {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in arguments.items()
        }
        return self._sync.call(command, **plain)
