"""The database: one writer at a time, readers that never wait for it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from dxlfabric.errors import ConfigurationError
from dxlfiletransferservice.control.tables import SCHEMA_VERSION, metadata, properties

BUSY_SECONDS: Final = 30.0
"""Seconds that a write waits for another process, such as ``dxlft user``, to end its own."""

_VERSION: Final = "schemaVersion"


def now_us() -> int:
    """Return the time in microseconds since 1970, as the database keeps times."""
    return time.time_ns() // 1000


class Database:
    """The database of a transfer server.

    Args:
        url: Where it is, as SQLAlchemy has it: ``sqlite:////srv/state/server.db``, or
            ``postgresql+psycopg://user@host/name`` with that driver installed. Missing tables are
            made.

    Raises:
        ConfigurationError: It cannot be reached, its driver is not installed, or it is of another
            version.

    Example:
        >>> database = Database("sqlite://")
        >>> with database.write() as connection:
        ...     _ = connection.execute(insert(properties).values(name="colour", value="red"))
        >>> database.close()
    """

    def __init__(self, url: str) -> None:
        self._writing = threading.Lock()
        self._engine = _engine(url)
        self._writer = self._engine.execution_options(writes=True)
        try:
            self._prepare()
        except SQLAlchemyError as error:
            self._engine.dispose()
            shown = make_url(url).render_as_string(hide_password=True)
            raise ConfigurationError(
                f"the database {shown} of the transfer server cannot be used: "
                f"{getattr(error, 'orig', None) or error}"
            ) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees the database as it is at its first question."""
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection whose changes are all made when the context ends, or none of them.

        One thread at a time is in such a context. A thread that is must not enter another one:
        pass the connection on.
        """
        with self._writing, self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def _prepare(self) -> None:
        with self.write() as connection:
            metadata.create_all(connection)
            found = connection.scalar(
                select(properties.c.value).where(properties.c.name == _VERSION)
            )
            if found is None:
                connection.execute(insert(properties).values(name=_VERSION, value=SCHEMA_VERSION))
            elif found != SCHEMA_VERSION:
                raise ConfigurationError(
                    f"the database of the transfer server is of version {found}, and this program "
                    f"needs version {SCHEMA_VERSION}: use the program that made it, or another "
                    "database"
                )


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        options: dict[str, Any] = {}
        if parsed.get_backend_name() == "sqlite":
            options["connect_args"] = {"timeout": BUSY_SECONDS, "check_same_thread": False}
        engine = create_engine(parsed, **options)
    except (ArgumentError, ImportError) as error:
        raise ConfigurationError(
            f"the setting for the database of the transfer server cannot be used: {error}"
        ) from error
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver would begin transactions late, and then two of them can block each other for good.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
