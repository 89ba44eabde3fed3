"""The service as an application: configuration, connection, registration and their end."""

import logging
import os
import warnings
from collections.abc import Sequence
from configparser import ConfigParser
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from dxlclient.callbacks import RequestCallback
from dxlclient.client import DxlClient
from dxlclient.exceptions import DxlException
from dxlclient.service import ServiceRegistrationInfo

from dxlfabric.configuration import load_configuration
from dxlfabric.errors import ConfigurationError, ConnectError
from dxlfiletransferclient.constants import SERVICE_TYPE
from dxlfiletransferclient.errors import WorkingDirectoryInUseError
from dxlfiletransferclient.protocol.desk import Desk
from dxlfiletransferclient.store import FileStoreManager
from dxlfiletransferservice.configdirectory import (
    SETTINGS_FILE,
    require_complete,
    require_filled_in,
)
from dxlfiletransferservice.inifile import read_parser
from dxlfiletransferservice.maintenance import MaintenanceThread
from dxlfiletransferservice.requesthandlers import SegmentRequestCallback
from dxlfiletransferservice.serviceclient import ServiceClient
from dxlfiletransferservice.settings import ServiceSettings, parse_settings, read_settings
from dxlfiletransferservice.transferserver import ServerSurroundings, TransferServer
from dxlfiletransferservice.verbhandlers import verb_callbacks

with warnings.catch_warnings():
    # It imports pkg_resources, which warns each time that its end is near.
    warnings.simplefilter("ignore")
    from dxlbootstrap.app import Application

_LOCK_WAIT: Final = 0.1  # seconds between two looks whether a start that has to end is connecting

_logger = logging.getLogger(__name__)


class FileTransferService(Application):
    """Keeps the files of clients of the fabric, of version 1 and of version 2.

    `run` reads the configuration directory, connects, registers and returns; segments are then
    stored on the threads of the incoming message pool until `destroy`. As a context manager it
    destroys itself, also after a failed start.

    A subclass may override the ``on_…`` methods of ``dxlbootstrap.app.Application``.

    Args:
        config_dir: Directory with ``dxlclient.config``, ``dxlfiletransferservice.config`` and
            perhaps ``logging.config``.
        state_dir: Directory for a transfer server, unless the settings name another one; without
            any there is no transfer server.
        private: Directories of which a transfer server never sends anything; its own is one.

    Example:
        >>> with FileTransferService("/etc/file-transfer") as service:  # doctest: +SKIP
        ...     service.run()
        ...     input("Enter ends the service")
    """

    DXL_SERVICE_REGISTRATION_TIMEOUT = 60
    """Seconds that `run` waits for the broker to confirm the registration."""

    def __init__(
        self,
        config_dir: str | os.PathLike[str],
        *,
        state_dir: Path | None = None,
        private: Sequence[Path] = (),
    ) -> None:
        self._state_dir = state_dir
        self._private = tuple(private)
        self._registration: ServiceRegistrationInfo | None = None
        self._transfer_server: TransferServer | None = None
        self._settings: ServiceSettings | None = None
        self._store: FileStoreManager | None = None
        self._maintenance: MaintenanceThread | None = None
        super().__init__(os.fspath(config_dir), SETTINGS_FILE)

    def __del__(self) -> None:
        # An instance whose constructor failed has nothing to destroy, not even a lock.
        if hasattr(self, "_lock"):
            super().__del__()

    @property
    def client(self) -> DxlClient | None:
        """The client that connects the service to the fabric; ``None`` unless it runs."""
        return self._dxl_client

    @property
    def config(self) -> ConfigParser | None:
        """What ``dxlfiletransferservice.config`` says; ``None`` before `run` has read it."""
        return self._config

    @property
    def settings(self) -> ServiceSettings | None:
        """The checked settings from that file; ``None`` before `run` has read them."""
        return self._settings

    @property
    def service_id(self) -> str | None:
        """The id under which this instance is registered on the fabric; ``None`` if it is not."""
        registered = self._dxl_client is not None and self._services
        return self._services[0].service_id if registered else None

    def check_configuration(self) -> None:
        """Check the configuration directory, and complete it, without starting anything.

        Raises:
            ConfigurationError: The configuration cannot be used, or files were missing and have
                been created to be filled in.
        """
        require_complete(Path(self._config_dir))
        require_filled_in(Path(self._config_dir))
        read_settings(Path(self._app_config_path))
        load_configuration(self._client_config_path)

    def run(self) -> None:
        """Start the service, and return when it is registered.

        A broker that cannot be reached is tried again for ever; the log says so. `destroy` in
        another thread ends the wait.

        Raises:
            ConfigurationError: As for `check_configuration`, or a directory cannot be used.
            ConnectError: The broker does not take the registration.
            dxlclient.exceptions.DxlException: The service was destroyed before it was connected.
        """
        super().run()

    def destroy(self) -> None:
        """End the service: unregister, answer what has arrived, disconnect, close the store.

        May be called at any time and again. A broker that does not answer any more delays it by a
        few seconds.
        """
        if self._running and not self._destroyed:
            _logger.info("Ending the service")
        # run() holds the lock for as long as it tries to connect.
        while not self._lock.acquire(timeout=_LOCK_WAIT):
            client = self._dxl_client
            if client is not None and not client.connected:
                client.destroy()
        try:
            self._end()
        finally:
            self._lock.release()

    def _end(self) -> None:
        with ExitStack() as stack:
            # Backwards: who asks the fabric, what answers it, what both stand on.
            if self._store is not None:
                stack.callback(self._store.close)
            server = self._transfer_server
            if server is not None:
                stack.callback(server.close)
            stack.callback(super().destroy)
            if server is not None:
                stack.callback(server.stop)
            if self._maintenance is not None:
                stack.callback(self._maintenance.stop)
            self._maintenance = self._transfer_server = self._store = None

    def on_load_configuration(self, config: ConfigParser) -> None:
        """Take the settings from the parsed ``dxlfiletransferservice.config``.

        Args:
            config: What the file says.

        Raises:
            ConfigurationError: Something in it is wrong.
        """
        settings = parse_settings(config, source=self._app_config_path)
        self._settings = settings
        self._incoming_queue_size = settings.incoming.queue_size
        self._incoming_thread_count = settings.incoming.thread_count
        self._callbacks_queue_size = settings.callbacks.queue_size
        self._callbacks_thread_count = settings.callbacks.thread_count

    def on_register_services(self) -> None:
        """Register the service with its topics: one for version 1, one for each verb of version 2.

        Raises:
            ConnectError: The broker does not confirm the registration.
        """
        client, settings, service = self._dxl_client, self._settings, self._registration
        if settings is None or service is None or not isinstance(client, ServiceClient):
            raise RuntimeError("services are registered by run(), once it has connected")
        for topic, callback in self._callbacks(client, settings).items():
            # On the incoming pool, whose threads are not the network thread: one queue, not two.
            self.add_request_callback(service, topic, callback, separate_thread=False)
        try:
            self.register_service(service)
        except DxlException as error:
            raise ConnectError(
                f"the broker did not confirm the registration of {settings.store_topic} "
                f"within {self.DXL_SERVICE_REGISTRATION_TIMEOUT} seconds: {error}"
            ) from error
        _logger.info("Registered %s as service %s", settings.store_topic, service.service_id)

    def _callbacks(
        self, client: ServiceClient, settings: ServiceSettings
    ) -> dict[str, RequestCallback]:
        """Return what answers the requests on each topic."""
        if self._store is None:
            raise RuntimeError("the store is opened by run(), before it connects")
        server = self._transfer_server
        refuse_plain = None if server is None else server.gate.refuse_plain
        desk = Desk(
            self._store.files,
            settings.access.verbs,
            identity=None if server is None else server.identity,
        )
        callbacks = verb_callbacks(
            client,
            desk,
            settings.store_topic,
            crowded=lambda: client.crowded,
            refuse_plain=refuse_plain,
        )
        callbacks[settings.store_topic] = SegmentRequestCallback(
            client, self._store, refuse_plain=refuse_plain
        )
        if server is not None:
            callbacks.update(server.callbacks())
        return callbacks

    @property
    def _client_config_path(self) -> Path:
        return Path(self._config_dir, self.DXL_CLIENT_CONFIG_FILE)

    def _validate_config_files(self) -> None:
        # The inherited method looks for defaults beside the module of a subclass, if it finds that.
        self.check_configuration()

    def _load_configuration(self) -> None:
        # The inherited method leaves malformed pool settings at their defaults without a word.
        self._config = read_parser(Path(self._app_config_path))
        self.on_load_configuration(self._config)

    def _dxl_connect(self) -> None:
        # In this order, so that faults of the configuration show before any wait for a broker.
        config = load_configuration(self._client_config_path)
        config.incoming_message_queue_size = self._incoming_queue_size
        config.incoming_message_thread_pool_size = self._incoming_thread_count
        self._open_store()
        client = self._dxl_client = ServiceClient(config)
        self._registration = ServiceRegistrationInfo(client, SERVICE_TYPE)
        self._open_transfer_server(client, self._registration)
        self._start_maintenance()
        _logger.info("Connecting to the fabric")
        client.connect()
        self.on_register_event_handlers()
        self.on_register_services()
        if self._transfer_server is not None:
            self._transfer_server.start()
        self.on_dxl_connect()

    def _open_store(self) -> None:
        if self._settings is None:
            raise RuntimeError("on_load_configuration was overridden without calling it")
        settings = self._settings
        try:
            self._store = FileStoreManager(
                settings.storage_dir,
                settings.working_dir,
                partial_lifetime=settings.partial_file_lifetime,
                options=settings.store_options,
            )
        except (ValueError, WorkingDirectoryInUseError) as error:
            raise ConfigurationError(f"{self._app_config_path}: [General] {error}") from error
        except OSError as error:
            raise ConfigurationError(
                f"{self._app_config_path}: [General] storageDir or workingDir cannot be used: "
                f"{error.filename or settings.storage_dir}: {error.strerror or error}"
            ) from error

    def _open_transfer_server(
        self, client: ServiceClient, registration: ServiceRegistrationInfo
    ) -> None:
        settings, store = self._settings, self._store
        if settings is None or store is None:
            raise RuntimeError("the settings are read and the store is opened before")
        state_dir = settings.transfer_server.state_dir or self._state_dir
        if state_dir is None:
            return
        server = TransferServer(
            ServerSurroundings(
                state_dir=state_dir.absolute(),
                settings=settings,
                store=store.files,
                client=client,
                client_configuration=self._client_config_path,
                service_id=registration.service_id,
                private=(Path(self._config_dir).absolute(), *self._private),
            )
        )
        registration.metadata = server.metadata
        self._transfer_server = server

    def _start_maintenance(self) -> None:
        settings, store, server = self._settings, self._store, self._transfer_server
        if settings is None or store is None:
            raise RuntimeError("the settings are read and the store is opened before")
        self._maintenance = MaintenanceThread(
            store.files,
            settings.partial_file_lifetime,
            others=() if server is None else (server.maintain,),
        )
        self._maintenance.start()

    def _unregister_services(self) -> None:
        # The inherited method waits for a minute, and raises without a connection.
        if isinstance(self._dxl_client, ServiceClient):
            for service in self._services:
                self._dxl_client.retire(service.service_id)
