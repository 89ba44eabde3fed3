"""The tables in which the transfer server keeps what must outlive it."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION: Final = 1
"""Counts changes of these tables; a database of another version is not opened."""

metadata = MetaData()

_Number = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts only columns of its own type ``INTEGER`` up by itself."""

_Path = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared by its code points, which SQLite always does."""


def _id() -> Column[int]:
    return Column("id", _Number, primary_key=True, autoincrement=True)


def _time(name: str) -> Column[int]:
    """Return a column for a time in microseconds since 1970, empty until it is known."""
    return Column(name, BigInteger)


def _owned() -> tuple[Column[str], ...]:
    """Return the columns that say whose something is; see ``principals``."""
    return (
        Column("owner", Text, nullable=False, index=True),
        Column("owner_token", Text),
        Column("owner_token_session", Text),
    )


def _made_by_call() -> tuple[Column[str], Column[int]]:
    """Return the columns of what a call makes, so that the same call does not make it twice."""
    return Column("call_id", Text, unique=True), _time("created")


def _manifest_id() -> Column[int]:
    """Return the column of what goes when its manifest goes."""
    manifest = ForeignKey("manifests.id", ondelete="CASCADE")
    return Column("manifest_id", _Number, manifest, primary_key=True)


properties = Table(
    "properties",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", JSON),
)
"""Settings that commands change, the version of the schema, and the server's persistent id."""

users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("superuser", Boolean, nullable=False, default=False),
    *_made_by_call(),
)

logins = Table(
    "logins",
    metadata,
    Column("ticket_hash", Text, primary_key=True),
    Column("user", Text, nullable=False, index=True),
    Column("superuser", Boolean, nullable=False, default=False),
    Column("token", Text, index=True),
    Column("token_session", Text),
    Column("local", Boolean, nullable=False, default=False),
    _time("created"),
    _time("expires"),
)
"""Tickets by which a program that has logged on goes on in a new session, after a restart say.
``local`` ones are for the user who runs the server, and never expire."""

sandboxes = Table(
    "sandboxes",
    metadata,
    Column("user", Text, primary_key=True),
    Column("mapping", JSON, nullable=False),
)
"""What each user is confined to; the empty user stands for all that have no entry."""

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("secret_hash", Text, nullable=False),
    Column("kind", Text, nullable=False),
    *_owned(),
    Column("password_hash", Text),
    Column("description", Text),
    Column("manifest_id", _Number, index=True),
    Column("download_limit", Integer),
    Column("download_count", Integer, nullable=False, default=0),
    Column("path", Text),
    Column("permissions", JSON),
    Column("user_data", JSON, nullable=False, default=dict),
    _time("expires"),
    *_made_by_call(),
    Column("number", _Number, unique=True),
)
"""Shared tokens and API tokens. ``number`` counts them in the order in which they were made."""

redemptions = Table(
    "redemptions",
    metadata,
    Column("token", Text, ForeignKey("tokens.id", ondelete="CASCADE"), primary_key=True),
    Column("admission", Text, primary_key=True),
    _time("created"),
)
"""What was counted against the limit of a shared token, so that each is counted once."""

manifests = Table(
    "manifests",
    metadata,
    _id(),
    *_owned(),
    Column("status", Text, nullable=False),
    Column("error_message", Text),
    Column("total_files", BigInteger),
    Column("total_size", BigInteger),
    Column("symlink_options", Integer, nullable=False),
    Column("user_data", JSON, nullable=False, default=dict),
    Column("deleted", Boolean, nullable=False, default=False),
    Column("more", Boolean, nullable=False, default=False),
    Column("last_call", Text),
    _time("last_call_time"),
    *_made_by_call(),
    Index("manifests_by_status", "status"),
    sqlite_autoincrement=True,
)
"""``deleted`` ones are invisible and stay as long as a transfer sends from them. ``more`` means
that mappings are still to come; ``last_call`` has brought the latest."""

manifest_mappings = Table(
    "manifest_mappings",
    metadata,
    _manifest_id(),
    Column("number", _Number, primary_key=True),
    Column("place", _Path, nullable=False),
    Column("dest", Text, nullable=False),
    Column("rooted", Boolean, nullable=False),
    Column("src", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("size", BigInteger),
    Column("flags", Integer),
    Column("executable", Boolean, nullable=False, default=False),
    Index("manifest_mappings_by_place", "manifest_id", "place", unique=True),
    sqlite_with_rowid=False,
)
"""What the caller named. ``place`` is ``dest`` in the order of trees, ``shown`` the source as the
caller named it; ``rooted`` tells whether the destination was named with ``/`` at its beginning."""

manifest_files = Table(
    "manifest_files",
    metadata,
    Column("manifest_id", _Number, primary_key=True),
    Column("number", _Number, primary_key=True),
    Column("mapping", _Number, nullable=False),
    Column("parent", _Path, nullable=False),
    Column("name", _Path, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("directory", Boolean, nullable=False, default=False),
    Column("executable", Boolean, nullable=False, default=False),
    Column("modified_us", BigInteger),
    Index("manifest_files_by_name", "manifest_id", "parent", "name", unique=True),
    sqlite_with_rowid=False,
)
"""What a manifest holds, numbered from 0 in the order in which it is sent. The directory ``parent``
and the ``name`` in it are those at the destination; the source follows from the mapping."""

manifest_directories = Table(
    "manifest_directories",
    metadata,
    _manifest_id(),
    Column("number", _Number, primary_key=True),
    Column("parent", _Path, nullable=False),
    Column("name", _Path, nullable=False),
    Index("manifest_directories_by_name", "manifest_id", "parent", "name", unique=True),
    sqlite_with_rowid=False,
)
"""Directories of a manifest in which there is something, and which are therefore no files of it."""

connections = Table(
    "connections",
    metadata,
    _id(),
    Column("address", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("ip", Text),
    Column("relay", Boolean, nullable=False, default=False),
    Column("send_rate", Float),
    Column("send_rate_min", Float),
    Column("send_rate_max", Float),
    Column("rate_control_enabled", Boolean, nullable=False, default=True),
    Column("rate_control_method", Integer, nullable=False, default=0),
    _time("created"),
    UniqueConstraint("address", "port", "relay"),
    sqlite_autoincrement=True,
)

destinations = Table(
    "destinations",
    metadata,
    _id(),
    *_owned(),
    Column("connection_id", _Number, ForeignKey("connections.id"), nullable=False, index=True),
    Column("address", Text, nullable=False),
    Column("ip", Text),
    Column("port", Integer, nullable=False),
    Column("authenticate", Boolean, nullable=False, default=False),
    Column("public_key", Text),
    Column("relay_address", Text),
    Column("relay_port", Integer),
    Column("sender_port", Integer),
    Column("send_rate_max", Float),
    Column("exclusive", Boolean, nullable=False, default=False),
    Column("permanent", Boolean, nullable=False, default=False),
    Column("lanes", JSON, nullable=False),
    Column("defaults", JSON, nullable=False, default=dict),
    Column("user_data", JSON, nullable=False, default=dict),
    Column("last_server_id", Text),
    Column("last_server_uid", Text),
    Column("last_receiver_id", Text),
    _time("last_send"),
    _time("last_receive"),
    *_made_by_call(),
    sqlite_autoincrement=True,
)

transfers = Table(
    "transfers",
    metadata,
    _id(),
    *_owned(),
    Column("destination_id", _Number, ForeignKey("destinations.id"), nullable=False),
    Column("manifest_id", _Number, nullable=False, index=True),
    Column("destination_path", Text, nullable=False, default=""),
    Column("status", Text, nullable=False),
    Column("error_message", Text, nullable=False, default=""),
    Column("priority", BigInteger, nullable=False),
    Column("lane", Text, nullable=False),
    Column("flags", Integer, nullable=False),
    Column("checkpoint_seconds", Float),
    Column("send_rate_max", Float),
    Column("overwrite_mode", Integer, nullable=False),
    Column("min_cipher", Integer, nullable=False),
    Column("time_resolution_us", BigInteger, nullable=False, default=0),
    Column("timeout_seconds", Float, nullable=False, default=0),
    Column("user_name", Text),
    Column("credentials", LargeBinary),
    Column("user_data", JSON, nullable=False, default=dict),
    Column("total_files", BigInteger, nullable=False),
    Column("total_bytes", BigInteger, nullable=False),
    Column("receiver", Text),
    Column("position", BigInteger, nullable=False, default=0),
    Column("files_sent", BigInteger, nullable=False, default=0),
    Column("files_failed", BigInteger, nullable=False, default=0),
    Column("first_failure", Text, nullable=False, default=""),
    Column("bytes_sent", BigInteger, nullable=False, default=0),
    Column("bytes_acked", BigInteger, nullable=False, default=0),
    Column("bytes_received", BigInteger, nullable=False, default=0),
    Column("packets_sent", BigInteger, nullable=False, default=0),
    Column("packets_received", BigInteger, nullable=False, default=0),
    Column("bytes_retransmitted", BigInteger, nullable=False, default=0),
    Column("bytes_through", BigInteger, nullable=False, default=0),
    _time("request_time"),
    _time("queue_time"),
    _time("start_time"),
    _time("end_time"),
    *_made_by_call(),
    Index("transfers_by_turn", "destination_id", "status", "lane", "priority", "id"),
    Index("transfers_by_age", "destination_id", "status", "lane", "id"),
    sqlite_autoincrement=True,
)
"""``position`` counts the manifest's files that are through, from the first on without a gap: a
restarted server goes on there, if it still sends to the store that ``receiver`` names, and begins
anew otherwise. ``credentials`` are sealed with the server's own key, and are gone
when the transfer has ended."""

requests = Table(
    "requests",
    metadata,
    _id(),
    Column("owner", Text, nullable=False),
    Column("owner_token", Text),
    Column("principal", JSON),
    Column("session", Text),
    Column("command", Text, nullable=False),
    Column("arguments", JSON),
    Column("status", Text, nullable=False),
    Column("error_kind", Text),
    Column("error_message", Text, nullable=False, default=""),
    Column("result", JSON),
    _time("finished"),
    *_made_by_call(),
    Index("requests_by_status", "status", "finished"),
    sqlite_autoincrement=True,
)
"""``owner`` is empty and ``session`` is not where nobody had logged on. ``principal`` is who has
called: after a restart, the server goes on in his name. ``arguments`` are gone when the request has
ended."""

events = Table(
    "events",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    _time("time"),
    Column("owner", Text),
    Column("owner_token", Text),
    Column("data", JSON, nullable=False),
    sqlite_autoincrement=True,
)

authorized_clients = Table(
    "authorized_clients",
    metadata,
    Column("public_key", Text, primary_key=True),
    _time("created"),
)

receptions = Table(
    "receptions",
    metadata,
    _id(),
    Column("sender_key", Text, nullable=False),
    Column("transfer_id", Text, nullable=False),
    Column("user", Text),
    Column("status", Text, nullable=False),
    Column("error_message", Text, nullable=False, default=""),
    Column("total_size", BigInteger),
    Column("destination_path", Text, nullable=False, default=""),
    Column("source_ip", Text),
    Column("source_port", Integer),
    Column("bytes_received", BigInteger, nullable=False, default=0),
    _time("last_receive"),
    _time("last_send"),
    _time("last_error"),
    _time("created"),
    UniqueConstraint("sender_key", "transfer_id"),
    sqlite_autoincrement=True,
)
"""Transfers that other servers send to this one."""
