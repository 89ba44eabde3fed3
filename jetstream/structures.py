"""The structures that methods return, for type checkers; they are plain dicts.

Times are whole microseconds since 1970 in UTC, and ``None`` as long as they are not known. Rates
are kilobits (1000 bits) per second. Blocks have 256 bytes. A server that is newer than this package
may tell more than what is listed here.
"""

from typing import Any, Literal, NotRequired, Required, TypedDict

ManifestStatus = Literal["pending", "complete", "error"]
"""Where a manifest is; ``complete`` ones can be sent."""

TransferStatus = Literal["pending", "sending", "resuming", "suspended", "complete", "error"]
"""Where a transfer is; the last three are those in which nothing happens by itself."""

ConnectionState = Literal["disconnected", "negotiating", "connected"]
"""Where the encrypted connection to a receiver is."""


class Owned(TypedDict):
    """Whose something is."""

    owner: str
    """The user."""
    ownerToken: str | None
    """Id of the token by which it was made; ``None`` for a password."""
    ownerTokenSession: str | None
    """Tells the sessions of one token apart."""


class Manifest(Owned):
    """What is to be sent: files and empty directories, under the names that they get."""

    manifestId: str
    status: ManifestStatus
    processing: bool
    """Whether the server still collects the files: the field to poll."""
    errorMessage: str | None
    totalFiles: int | None
    """Files and empty directories."""
    totalSize: int | None
    """Bytes."""
    userData: dict[str, str]


class FileMapping(TypedDict):
    """One file, or empty directory, of a manifest."""

    srcPath: str
    """Where it is at the server; what logs on with a shared token sees ``destPath`` here."""
    destPath: str
    """Which path it gets."""
    fileSize: int
    isEmptyDir: bool
    executable: bool
    modificationTime: int | None


class ManifestFiles(TypedDict):
    """The files of a manifest."""

    manifestId: str
    fileMappings: list[FileMapping]


class Transfer(Owned):
    """A manifest on its way to a destination."""

    transferId: str
    destinationId: str
    manifestId: str
    destinationPath: str
    status: TransferStatus
    processing: bool
    """Whether the server still works on it: false once it is complete, failed or suspended."""
    errorMessage: str
    """Why it failed; empty if it did not."""
    blockSize: int
    totalFiles: int
    """Files and empty directories."""
    totalBytes: int
    totalBlocks: int
    filesSent: int
    """Those that the receiver has, or keeps an older or newer one of."""
    filesFailed: int
    blocksSent: int
    blocksAcked: int
    blocksRetransmitted: int
    bytesSent: int
    bytesRecv: int
    packetsSent: int
    packetsRecv: int
    checkpointFrequencySeconds: float | None
    priority: int
    priorityLane: str
    sendRateMax: float | None
    transferFlags: int
    overwriteMode: int
    minCipher: int
    fileTimeResolutionMicroseconds: int
    timeoutSeconds: float
    userName: str | None
    """User at the receiver."""
    userData: dict[str, str]
    requestTime: int | None
    queueTime: int | None
    startTime: int | None
    endTime: int | None
    snapshotTime: int | None


class Destination(Owned):
    """A receiver, and how to send to it."""

    destinationId: str
    connectionId: str
    destinationAddress: str
    destinationIP: str | None
    destinationPort: int
    destinationPublicKey: str | None
    authenticateDestination: bool
    encryptedConnectionState: ConnectionState
    encryptionEnabled: bool
    lastDestinationServerId: str | None
    lastDestinationServerUid: str | None
    lastReceiverDestinationId: str | None
    lastError: str | None
    lastErrorMessage: str
    lastSendTime: int | None
    lastRecvTime: int | None
    numTransfersQueued: int
    roundTripTimeMs: float | None
    relayAddress: str | None
    relayIP: str | None
    relayPort: int | None
    senderPort: int | None
    sendRate: float
    """What is sent at the moment."""
    sendRateMax: float | None
    priorityLanes: dict[str, float]
    transferDefaults: dict[str, Any]
    exclusive: bool
    permanent: bool
    userData: dict[str, str]


class Connection(TypedDict):
    """A dialled broker, which the destinations behind it share."""

    connectionId: str
    destinationIP: str | None
    destinationPort: int | None
    """``None`` with a relay."""
    destinationPublicKey: str | None
    encryptedConnectionState: ConnectionState
    encryptionEnabled: bool
    lastDestinationServerId: str | None
    lastDestinationServerUid: str | None
    lastError: str | None
    lastErrorMessage: str
    lastSendTime: int | None
    lastRecvTime: int | None
    numTransfersQueued: int
    rateControllerActive: bool
    rateControlMethod: int
    relayIP: str | None
    relayPort: int | None
    roundTripTimeMs: float | None
    sendRate: float
    """What is sent at the moment."""
    sendRateMin: float | None
    sendRateMax: float | None


class Token(Owned):
    """A shared token, or an API token."""

    token: str
    """What opens it where it was just made; its id ever after."""
    description: str | None
    creationTime: int
    expiryTime: int | None
    passwordRequired: bool
    permissions: list[str]
    userData: dict[str, str]
    downloadCount: NotRequired[int]
    """Of shared tokens."""
    downloadLimit: NotRequired[int | None]
    """Of shared tokens."""
    manifestId: NotRequired[str]
    """Of shared tokens."""
    path: NotRequired[str | None]
    """Of API tokens."""


class Sandbox(TypedDict):
    """A directory that a user is confined to."""

    type: Literal["File"]
    path: str


class GarbageCollection(TypedDict):
    """How long things are kept, in seconds."""

    transferLifetimeSeconds: float
    manifestLifetimeSeconds: float


class GarbageCollected(TypedDict):
    """How much was removed."""

    transfers: int
    manifests: int
    destinations: int
    tokens: int


class Request(TypedDict):
    """A command that the server carries out when its turn comes."""

    requestId: int


class RequestStatus(TypedDict):
    """What has become of a request."""

    status: Literal["pending", "complete", "error"]
    processing: bool
    errorMessage: str


class ReceiveTransfer(TypedDict):
    """A transfer that another server sends to this one."""

    receptionId: str
    """Its id here; ``transferId`` is the sender's."""
    transferId: str
    status: Literal["receiving", "complete", "error"]
    errorMessage: str
    totalSize: int | None
    bytesReceived: int
    destinationPath: str
    userName: str | None
    """Who has been logged on for it."""
    sourceIP: str | None
    """Client of the fabric that it comes from."""
    sourcePort: int | None
    sourcePublicKey: str
    startTime: int | None
    lastRecvTime: int | None
    lastSendTime: int | None
    lastErrorTime: int | None


class Source(TypedDict):
    """A server that sends to this one."""

    sourceIP: str | None
    """Client of the fabric that it sends from."""
    sourcePort: int | None
    activeTransferCount: int
    inactiveTransferCount: int
    completeTransferCount: int
    errorTransferCount: int
    aveRecvRate: float
    """Of all of its transfers."""
    aveRecvRateWindow: float
    """Of the last seconds."""
    destinationPublicKey: str
    encryptedConnectionState: ConnectionState
    encryptionEnabled: bool


class User(TypedDict):
    """Somebody who can log on with a password."""

    userName: str
    superuser: bool
    creationTime: int | None


ServerInfo = dict[str, Any]
"""What a server tells about itself; the guide has a table of it."""

Event = dict[str, Any]
"""An entry of the event log: ``_event``, ``_timestamp``, and the fields of what it is about."""


class FileSpec(TypedDict, total=False):
    """A source that the server need not look at when the manifest is made."""

    src: Required[str]
    """Path of the source, which must exist when a transfer is started."""
    size: int
    """Bytes; without it and ``flags``, the entry is an empty directory."""
    flags: int
    """``FILETYPE_…``."""
    access: str
    """``"x"`` for an executable file; nothing else is known."""
