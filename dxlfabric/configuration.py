"""Client configurations: the ``dxlclient.config`` files that the official client reads.

``write_client_configuration`` makes and updates one; ``load_configuration`` reads one and says
clearly what is wrong with it.
"""

import io
import ssl
from dataclasses import dataclass
from pathlib import Path

from configobj import ConfigObj, ConfigObjError, Section
from dxlclient.client_config import DxlClientConfig
from dxlclient.exceptions import BrokerListError, DxlException

from dxlfabric import tls
from dxlfabric.credentials import Credentials
from dxlfabric.durablefiles import write_file
from dxlfabric.errors import ConfigurationError

DEFAULT_PORT = 8883
"""The port on which DXL brokers listen."""

HOST_NAME_SETTING = "VerifyBrokerHostName"
"""Setting, in the section ``General``, by which brokers have to prove their host names."""

_GENERAL = "General"
_CERTS = "Certs"
_BROKERS = "Brokers"
_WEBSOCKET_BROKERS = "BrokersWebSockets"
_FILE_SETTINGS = {
    "BrokerCertChain": "broker_ca_bundle",
    "CertFile": "cert_file",
    "PrivateKey": "private_key",
}
_HEADER = (
    "# How DXL clients reach the broker. The sections Certs and Brokers are kept up to date by",
    "# dxlft; everything else in this file is yours.",
)


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is, as a client configuration says it.

    Attributes:
        broker_id: The broker's identifier on the fabric.
        host: Host name or IP address.
        port: TCP port, 1 to 65535.
        ip_address: An address to try when the host name does not work; empty for none.
    """

    broker_id: str
    host: str
    port: int
    ip_address: str = ""

    @property
    def line(self) -> str:
        """The broker as one line of the configuration."""
        parts = (self.broker_id, str(self.port), self.host, self.ip_address)
        return ";".join(part for part in parts if part)


def write_client_configuration(path: Path, credentials: Credentials, broker: BrokerAddress) -> bool:
    """Make a client configuration, or bring the certificates and the broker in one up to date.

    File names are written as absolute ones: the official client looks for a relative name in the
    current directory first. Other sections and comments of an existing file stay as they are.

    Args:
        path: The configuration file, in a directory that exists.
        credentials: The client's certificate and key, and the CA of its broker.
        broker: The one broker that the client shall use.

    Returns:
        Whether the file had to be written.

    Raises:
        ConfigurationError: The existing file is malformed, or a path holds characters that the
            format cannot express.
        OSError: The file cannot be read or written.
    """
    before = path.read_bytes() if path.exists() else b""
    try:
        content = ConfigObj(io.BytesIO(before), interpolation=False, encoding="utf-8")
        if not before:
            content.initial_comment = list(_HEADER)
        certificates = _section(content, _CERTS)
        certificates["BrokerCertChain"] = _expressible(credentials.authority)
        certificates["CertFile"] = _expressible(credentials.certificate)
        certificates["PrivateKey"] = _expressible(credentials.private_key)
        brokers = _section(content, _BROKERS)
        for other in set(brokers) - {broker.broker_id}:
            del brokers[other]
        brokers[broker.broker_id] = broker.line
        # Without this section, even if empty, the official client logs a warning each time.
        _section(content, _WEBSOCKET_BROKERS)
        written = io.BytesIO()
        content.write(written)
    except (ConfigObjError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}; correct the file or remove it") from error
    after = written.getvalue()
    if after == before:
        return False
    write_file(path, after)
    return True


def configured_broker(path: Path) -> BrokerAddress | None:
    """Return the first broker that an existing client configuration names, or None.

    Raises:
        ConfigurationError: The file is malformed.
    """
    brokers = _parsed(path).brokers
    if not brokers:
        return None
    first = brokers[0]
    return BrokerAddress(first.unique_id, first.host_name, first.port, first.ip_address or "")


def load_configuration(path: Path) -> DxlClientConfig:
    """Read a client configuration and check everything that can be checked without a connection.

    A relative name of a certificate or key file means the one in the configuration's own
    directory, if there is one, whatever the current directory holds.

    Args:
        path: A ``dxlclient.config`` file.

    Returns:
        The configuration, ready for ``dxlclient.client.DxlClient``.

    Raises:
        ConfigurationError: The file is missing or malformed, names no broker, or names certificate
            files that are missing or do not belong together. The message names file and setting.
    """
    path = path.absolute()
    if not path.is_file():
        raise ConfigurationError(f"{path}: there is no such client configuration")
    config = _parsed(path)
    for setting, attribute in _FILE_SETTINGS.items():
        try:
            name = getattr(config, attribute)
        except TypeError as error:  # the format takes "a, b" as a list
            where = f"{path}: [{_CERTS}] {setting}"
            raise ConfigurationError(f"{where}: no file name; put it in quotes") from error
        if (path.parent / name).is_file():
            setattr(config, attribute, str(path.parent / name))
    check_configuration(config, str(path))
    return config


def check_configuration(config: DxlClientConfig, origin: str = "client configuration") -> None:
    """Check a configuration as :func:`load_configuration` does.

    Args:
        config: What to check.
        origin: Where it comes from, for the messages.

    Raises:
        ConfigurationError: See :func:`load_configuration`.
    """
    if not config.brokers:
        raise ConfigurationError(f"{origin}: [{_BROKERS}]: no broker is named")
    client_context(config, origin)


def client_context(config: DxlClientConfig, origin: str = "client configuration") -> ssl.SSLContext:
    """Return the TLS context with which our client makes its connection.

    Raises:
        ConfigurationError: A certificate or key file is missing, unreadable or of the wrong kind.
    """
    for setting, attribute in _FILE_SETTINGS.items():
        _check_readable(getattr(config, attribute), f"{origin}: [{_CERTS}] {setting}")
    authority, certificate, key = config.broker_ca_bundle, config.cert_file, config.private_key
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(authority)
    except ssl.SSLError as error:
        where = f"{origin}: [{_CERTS}] BrokerCertChain"
        raise ConfigurationError(f"{where}: {authority} holds no CA certificates") from error
    try:
        context = tls.client_context(
            Credentials(Path(authority), Path(certificate), Path(key)), password=_no_password
        )
    except _EncryptedKeyError as error:
        where = f"{origin}: [{_CERTS}] PrivateKey"
        raise ConfigurationError(f"{where}: {key} is encrypted; store it decrypted") from error
    except ssl.SSLError as error:
        where = f"{origin}: [{_CERTS}] CertFile, PrivateKey"
        reason = f"{certificate} and {key} are no certificate and the key that belongs to it"
        raise ConfigurationError(f"{where}: {reason}") from error
    context.check_hostname = checks_host_name(config)
    return context


def checks_host_name(config: DxlClientConfig) -> bool:
    """Tell whether brokers have to prove their host names: :data:`HOST_NAME_SETTING`.

    Raises:
        ConfigurationError: The setting is neither yes nor no.
    """
    # The official class keeps what it has read, with settings that it does not know.
    content = getattr(config, "_config", None)
    section = content.get(_GENERAL) if content else None
    if not isinstance(section, Section) or HOST_NAME_SETTING not in section:
        return False
    try:
        return bool(section.as_bool(HOST_NAME_SETTING))
    except ValueError as error:
        raise ConfigurationError(
            f"client configuration: [{_GENERAL}] {HOST_NAME_SETTING}: "
            f"{section[HOST_NAME_SETTING]!r} is neither yes nor no"
        ) from error


class _EncryptedKeyError(Exception):
    pass


def _no_password() -> str:
    # Without a callback OpenSSL would ask on the terminal and wait for ever.
    raise _EncryptedKeyError


def _parsed(path: Path) -> DxlClientConfig:
    try:
        return DxlClientConfig.create_dxl_config_from_file(str(path))
    except (OSError, ValueError, TypeError, ConfigObjError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except (BrokerListError, DxlException) as error:
        raise ConfigurationError(f"{path}: [{_BROKERS}]: {error}") from error


def _section(content: ConfigObj, name: str) -> Section:
    if not isinstance(content.get(name), Section):
        content[name] = {}
    section: Section = content[name]
    return section


def _expressible(path: Path) -> str:
    text = str(path.absolute())
    # The format interpolates %(name)s and knows no escape for it.
    if "%(" in text or not text.isprintable():
        raise ConfigurationError(f"{text!r}: client configurations cannot express such a path")
    return text


def _check_readable(name: str, where: str) -> None:
    try:
        with Path(name).open("rb"):
            pass
    except OSError as error:
        raise ConfigurationError(f"{where}: {name}: {error.strerror}") from error
