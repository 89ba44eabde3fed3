"""What can go wrong on the bus, as exceptions."""


class FabricError(Exception):
    """Base of every error that this package raises by itself."""


class MalformedPacketError(FabricError, ValueError):
    """Bytes on a connection that are no MQTT 3.1.1 packet, or one larger than is allowed."""


class MalformedMessageError(FabricError, ValueError):
    """A payload that is no DXL message."""


class CertificateError(FabricError):
    """Certificates or keys that are missing, unreadable or do not belong together."""


class ConfigurationError(FabricError):
    """A client configuration that cannot be used; the message names the file and the setting."""


class ConnectError(FabricError):
    """No connection to the fabric; the message names the broker and the likely way out."""


class BrokerError(FabricError):
    """The embedded broker could not start, or ended by itself."""
