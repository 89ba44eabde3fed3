"""Topics of the transfer server."""

from typing import Final

CONTROL_TOPIC: Final = "/opendxl-file-transfer/service/transfer-server"
"""What the topics of the control API begin with; they are made as those of version 2 are from a
store topic (``verbs.topic_of``): ``…/v2/hello``, ``…/v2/admit`` and ``…/v2/sealed``."""

EVENT_TOPIC: Final = "/opendxl-file-transfer/event/transfer-server"
"""What the topics of the server's events begin with; ``/`` and the name of the event follow."""
