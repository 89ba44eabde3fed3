"""What ``api.send`` is: everything about sending files."""

from jetstream.connections import ConnectionMethods
from jetstream.destinations import DestinationMethods
from jetstream.manifests import ManifestMethods
from jetstream.requestmethods import RequestMethods
from jetstream.sharedtokens import SharedTokenMethods
from jetstream.transfercontrol import TransferControlMethods
from jetstream.transfers import TransferMethods
from jetstream.userdata import UserDataMethods


class SendInterface(
    DestinationMethods,
    ConnectionMethods,
    ManifestMethods,
    SharedTokenMethods,
    TransferMethods,
    TransferControlMethods,
    UserDataMethods,
    RequestMethods,
):
    """Controls what a server sends. Reach it as ``send`` of an API; it is not made by programs.

    Methods take objects by id or by structure, and return structures. Methods whose names end with
    ``Async`` ask the server to do something when its turn comes, and return a request at once:
    ``getRequestStatus`` and ``getRequestResult`` tell what has become of it.

    Every method raises ``CommandError`` for what the server refuses, and other kinds of
    ``JetstreamError`` if it cannot be called.

    Args:
        api_interface: The API that it belongs to.
        sync_interface: Calls the commands.
        logging_interface: Takes note of them; never of their arguments, which may be secret.

    Example:
        >>> with Jetstream().api("localhost", 8886) as api:  # doctest: +SKIP
        ...     api.server.auth("jsmith", "secret")
        ...     manifest = api.send.createManifest(mappings={"may.csv": "/data/may.csv"})
        ...     manifest = api.send.waitForManifest(manifest)
        ...     destination = api.send.createDestination("receiver01")
        ...     transfer = api.send.createTransfer(destination, manifest)
        ...     print(api.send.waitForTransfer(transfer)["status"])
        complete
    """
