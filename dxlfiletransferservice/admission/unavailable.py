"""What peers are told while the database cannot be used."""

import logging
from typing import Final

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError

_RETRY_AFTER: Final = 1.0

_logger = logging.getLogger(__name__)


def unavailable(error: Exception) -> RefusedError:
    """Return the refusal for what needs the database, and log why it cannot be used."""
    _logger.warning("The database of the transfer server cannot be used: %s", error)
    text = "the database of the transfer server cannot be used at the moment"
    return RefusedError(ErrorCode.BUSY, text, _RETRY_AFTER)
