"""What the server tells about itself."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dxlfiletransferclient.control.constants import API_VERSION, DEFAULT_API_PORT
from dxlfiletransferclient.sealing.admission import Cipher
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.properties import keep_property, property_value

REVISION: Final = 1
"""Counts builds of one version; there is one of each."""

_UID: Final = "serverUid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What is known of the server when it has started.

    Attributes:
        server_id: Service id of this launch.
        server_uid: Persistent id; see :func:`server_uid`.
        server_name: What people call it.
        host_name: Name of the machine.
        version: Version of the program.
        public_key: Its key.
        port: Port of the broker that it is reached by.
        allow_remote: Whether that broker can be reached from other machines.
        external_address: Address and port that others reach it by, if that was set.
        least_cipher: The least protection of sessions that it takes part in.
        default_cipher: The least protection of transfers that do not say otherwise.
        require_authentication: Whether it takes files only from who shows a password or a token.
        store_topic: What topics of its files begin with.
        certificate_days: Returns the days for which the certificate of its connection is valid;
            ``None`` where that is not known.
        started: When it was started, in microseconds since 1970.
        configuration: Its settings, for superusers, without secrets.
    """

    server_id: str
    server_uid: str
    server_name: str
    host_name: str
    version: str
    public_key: str
    port: int = DEFAULT_API_PORT
    allow_remote: bool = True
    external_address: str | None = None
    least_cipher: Cipher = Cipher.NONE
    default_cipher: Cipher = Cipher.AES_128
    require_authentication: bool = False
    store_topic: str = ""
    certificate_days: Callable[[], int | None] = lambda: None
    started: int | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)

    def structure(self, *, restricted: bool, sandboxed: bool | None) -> dict[str, Any]:
        """Return what everybody may know, as programs are shown it.

        Args:
            restricted: Whether only authorised clients may send to it.
            sandboxed: Whether who asks is confined to directories; ``None`` before log-on.
        """
        return {
            "allowRemoteControl": self.allow_remote,
            "apiControlPort": self.port,
            "apiVersion": API_VERSION,
            "APITokensAvailable": True,
            "authRequired": True,
            "bandwidthLimits": {"incomingRateLimit": None, "outgoingRateLimit": None},
            "certificateValidation": self.certificate_days(),
            "encryptionAvailable": True,
            "eventLogAvailable": True,
            "hostName": self.host_name,
            "license": {"name": "Apache-2.0", "expiryTime": None},
            "minCipher": int(self.least_cipher),
            "multiplexAvailable": True,
            "publicKey": self.public_key,
            "receiver": {
                "port": self.port,
                "storeTopic": self.store_topic,
                "authenticationRequired": self.require_authentication,
                "onlyAuthorizedClientsAllowed": restricted,
                "minCipher": int(self.least_cipher),
            },
            "revision": REVISION,
            "sandboxed": sandboxed,
            "serverExternalAddress": self.external_address,
            "serverId": self.server_id,
            "serverName": self.server_name,
            "serverUid": self.server_uid,
            "sharedTokensAvailable": True,
            "startTime": self.started,
            "transferDefaults": {"minCipher": int(self.default_cipher)},
            "version": self.version,
        }


def server_uid(database: Database) -> str:
    """Return the id that a server keeps over restarts; it is made with its database.

    Args:
        database: The server's database.

    Example:
        >>> database = Database("sqlite://")
        >>> server_uid(database) == server_uid(database)
        True
    """
    with database.write() as connection:
        found = property_value(connection, _UID)
        if isinstance(found, str):
            return found
        made = uuid.uuid4().hex
        keep_property(connection, _UID, made)
        return made
