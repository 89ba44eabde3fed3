"""Settings that commands change, each kept by its name."""

from typing import Any

from sqlalchemy import Connection, insert, select, update

from dxlfiletransferservice.control.tables import properties


def property_value(connection: Connection, name: str) -> Any:
    """Return what is kept under a name; ``None`` if nothing is.

    Args:
        connection: A connection that reads or writes.
        name: The name.
    """
    return connection.scalar(select(properties.c.value).where(properties.c.name == name))


def keep_property(connection: Connection, name: str, value: Any) -> None:
    """Keep something under a name, in the place of what was there.

    Args:
        connection: A connection that writes.
        name: The name.
        value: What JSON can hold.
    """
    changed = connection.execute(
        update(properties).where(properties.c.name == name).values(value=value)
    )
    if not changed.rowcount:
        connection.execute(insert(properties).values(name=name, value=value))
