"""The transfer server behind a service: sessions, control plane and couriers, on one client."""

import getpass
import logging
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from dxlclient.callbacks import RequestCallback
from sqlalchemy.engine import make_url

from dxlfabric.durablefiles import make_private_directory
from dxlfabric.errors import ConfigurationError
from dxlfiletransferclient._version import __version__
from dxlfiletransferclient.control.constants import DEFAULT_API_PORT
from dxlfiletransferclient.control.names import CONTROL_TOPIC
from dxlfiletransferclient.protocol.desk import ServerIdentity
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from dxlfiletransferclient.sealing.admission import SessionPurpose
from dxlfiletransferclient.sealing.keyfile import load_or_make
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferclient.storage.local import LocalStore
from dxlfiletransferservice.admission.callbacks import AdmitRequestCallback, SealedRequestCallback
from dxlfiletransferservice.admission.desk import AdmissionDesk
from dxlfiletransferservice.admission.downloads import DownloadPurpose
from dxlfiletransferservice.admission.gate import PlainGate
from dxlfiletransferservice.admission.sandboxstores import SandboxStores
from dxlfiletransferservice.admission.transfers import TransferPurpose
from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.control.controlhello import ControlHello
from dxlfiletransferservice.control.controlplane import ControlPlane, ServerPlace
from dxlfiletransferservice.control.database import Database, now_us
from dxlfiletransferservice.control.upkeep.eventbus import EventBus
from dxlfiletransferservice.control.upkeep.serverinformation import ServerFacts, server_uid
from dxlfiletransferservice.control.upkeep.triggerarguments import Sender
from dxlfiletransferservice.control.upkeep.triggers import Triggers
from dxlfiletransferservice.control.visits import ControlPurpose
from dxlfiletransferservice.courier.couriers import DestinationCouriers
from dxlfiletransferservice.courier.dialling import Dialling
from dxlfiletransferservice.courier.options import CourierOptions
from dxlfiletransferservice.courier.seams import CourierService, Work
from dxlfiletransferservice.serviceclient import ServiceClient
from dxlfiletransferservice.settings import ServiceSettings
from dxlfiletransferservice.verbhandlers import VerbRequestCallback

KEY_NAME: Final = "server.key"
"""The server's private key, in the state directory."""

TICKET_NAME: Final = "local.ticket"
"""What lets in whoever runs the server, in the state directory."""

TRIGGERS_NAME: Final = "triggers"
"""Directory of the triggers, in the state directory."""

FABRICS_NAME: Final = "fabrics"
"""Directory of client configurations for other fabrics, in the state directory."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSurroundings:
    """What a transfer server is given by the service that it belongs to.

    Attributes:
        state_dir: Directory of its key, database and triggers.
        settings: The settings of the service.
        store: The service's store.
        client: The service's client of the fabric, which need not be connected yet.
        client_configuration: How that client reaches the fabric.
        service_id: The id under which the service is registered.
        private: Further directories of which nothing is ever sent, such as one with keys.
    """

    state_dir: Path
    settings: ServiceSettings
    store: LocalStore
    client: ServiceClient
    client_configuration: Path
    service_id: str
    private: tuple[Path, ...] = ()


class TransferServer:
    """A transfer server. Register its topics, start it, call :meth:`maintain`, close it.

    Args:
        surroundings: What it belongs to.

    Attributes:
        identity: Who it says it is.
        gate: Keeps out who comes without a session, where everybody has to show who he is.

    Raises:
        ConfigurationError: Its directory, key or database cannot be used.
    """

    def __init__(self, surroundings: ServerSurroundings) -> None:
        self._surroundings = surroundings
        settings = surroundings.settings.transfer_server
        state_dir = surroundings.state_dir.absolute()
        with ExitStack() as stack:
            key = _key_in(state_dir)
            self._database = Database(settings.database_in(state_dir))
            stack.callback(self._database.close)
            facts = self._facts(key)
            self.identity = ServerIdentity(key.public, facts.server_uid, facts.server_name)
            self._event_bus = EventBus(
                surroundings.client.send_event,
                server_id=facts.server_id,
                server_uid=facts.server_uid,
            )
            sender = Sender(facts.host_name, facts.port)
            self._triggers = Triggers(state_dir / TRIGGERS_NAME, sender)
            self._control = ControlPlane(
                self._database,
                self._place(state_dir, key),
                facts,
                listeners=(self._event_bus.put, self._triggers.put),
                couriers=lambda work: self._couriers(work, state_dir, key),
            )
            self.gate = PlainGate(
                self._control.senders,
                require_authentication=settings.require_authentication,
                least=settings.least_cipher,
            )
            self._stores = SandboxStores(
                surroundings.store,
                surroundings.settings.storage_dir,
                options=surroundings.settings.store_options,
                private=(
                    state_dir,
                    surroundings.store.layout.working,
                    *surroundings.private,
                ),
            )
            control = self._control
            self._downloads = DownloadPurpose(control.access, control.files, control.sandboxes)
            self._desk = self._admission_desk(key)
            stack.pop_all()

    def callbacks(self) -> dict[str, RequestCallback]:
        """Return what answers the requests on its topics."""
        client = self._surroundings.client
        log = BoundedLog(_logger)
        admit = AdmitRequestCallback(client, self._desk, log=log)
        sealed = SealedRequestCallback(client, self._desk, log=log, crowded=lambda: client.crowded)
        hello = VerbRequestCallback(client, ControlHello(self.identity), Verb.HELLO, log=log)
        found: dict[str, RequestCallback] = {topic_of(Verb.HELLO, CONTROL_TOPIC): hello}
        for topic in (CONTROL_TOPIC, self._surroundings.settings.store_topic):
            found[topic_of(Verb.ADMIT, topic)] = admit
            found[topic_of(Verb.SEALED, topic)] = sealed
        return found

    @property
    def metadata(self) -> dict[str, str]:
        """What the registration of the service tells of it."""
        return {
            "serverUid": self.identity.uid,
            "serverName": self.identity.name,
            "publicKey": self.identity.public_key,
        }

    def start(self) -> None:
        """Go on with everything that was under way when it ended; connect the client before."""
        self._event_bus.start()
        self._triggers.start()
        self._control.start()
        _logger.info(
            "The transfer server %s has the key %s", self.identity.name, self.identity.public_key
        )

    def maintain(self, now: float) -> None:
        """Do what is due; call it about every second.

        Args:
            now: The time in seconds since 1970.
        """
        self._desk.maintain(now)
        self._stores.maintain(now)
        self._control.maintain(now)

    def stop(self) -> None:
        """Stop sending and everything that asks the fabric; sessions go on until :meth:`close`."""
        self._control.close()
        self._event_bus.close()
        self._triggers.close()

    def close(self) -> None:
        """End all sessions, and let go of the database."""
        with ExitStack() as stack:
            stack.callback(self._database.close)
            stack.callback(self._control.receptions.close)
            stack.callback(self._stores.close)
            stack.callback(self._downloads.close)
            stack.callback(self._desk.close)

    def _facts(self, key: PrivateKey) -> ServerFacts:
        settings = self._surroundings.settings
        server = settings.transfer_server
        host_name = socket.gethostname()
        brokers = self._surroundings.client.config.brokers
        return ServerFacts(
            server_id=self._surroundings.service_id,
            server_uid=server_uid(self._database),
            server_name=server.server_name or host_name,
            host_name=host_name,
            version=__version__,
            public_key=key.public,
            port=brokers[0].port if brokers else DEFAULT_API_PORT,
            least_cipher=server.least_cipher,
            default_cipher=server.default_cipher,
            require_authentication=server.require_authentication,
            store_topic=settings.store_topic,
            started=now_us(),
            configuration=_shown_settings(settings, self._surroundings.state_dir),
        )

    def _place(self, state_dir: Path, key: PrivateKey) -> ServerPlace:
        return ServerPlace(
            ticket=state_dir / TICKET_NAME,
            runs_as=getpass.getuser(),
            secret=key.to_bytes(),
            private=(state_dir, *self._surroundings.private, *self._separate_working),
            storage=self._surroundings.settings.storage_dir.absolute(),
        )

    @property
    def _separate_working(self) -> tuple[Path, ...]:
        """The working directory of the store, if it is not in the storage directory."""
        layout = self._surroundings.store.layout
        return () if layout.reserved else (layout.working,)

    def _admission_desk(self, key: PrivateKey) -> AdmissionDesk:
        control = self._control
        server = self._surroundings.settings.transfer_server
        transfers = TransferPurpose(
            self._stores,
            control.access,
            control.sandboxes,
            control.senders,
            control.receptions,
            private_key=key,
            require_authentication=server.require_authentication,
        )
        return AdmissionDesk(
            key,
            {
                SessionPurpose.TRANSFER: transfers,
                SessionPurpose.DOWNLOAD: self._downloads,
                SessionPurpose.CONTROL: ControlPurpose(control.commands, control.access),
            },
            minimum=server.least_cipher,
        )

    def _couriers(self, work: Work, state_dir: Path, key: PrivateKey) -> CourierService:
        surroundings = self._surroundings
        dialling = Dialling(surroundings.client_configuration, state_dir / FABRICS_NAME)
        options = CourierOptions(store_topic=surroundings.settings.store_topic)
        return DestinationCouriers(work, key, dialling, options=options)


def _key_in(state_dir: Path) -> PrivateKey:
    try:
        make_private_directory(state_dir)
        return load_or_make(state_dir / KEY_NAME)
    except OSError as error:
        raise ConfigurationError(
            f"the state directory {state_dir} of the transfer server cannot be used: "
            f"{error.strerror or error}; choose another one with stateDir"
        ) from error


def _shown_settings(settings: ServiceSettings, state_dir: Path) -> Mapping[str, Any]:
    """Return the settings as superusers may see them."""
    database = settings.transfer_server.database_in(state_dir)
    return {
        "storageDir": str(settings.storage_dir),
        "stateDir": str(state_dir),
        "database": make_url(database).render_as_string(hide_password=True),
        "storeTopic": settings.store_topic,
        "partialFileLifetimeSeconds": settings.partial_file_lifetime,
        "transfers": _camel_cased(asdict(settings.transfers)),
        "access": _camel_cased(asdict(settings.access)),
    }


def _camel_cased(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values under names as structures have them."""
    found = {}
    for name, value in values.items():
        first, *others = name.split("_")
        found[first + "".join(map(str.capitalize, others))] = value
    return found
