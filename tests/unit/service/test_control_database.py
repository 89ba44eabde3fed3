"""The database: transactions, versions, and what cannot be opened."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from dxlfabric.errors import ConfigurationError
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.tables import SCHEMA_VERSION, properties, users


def url_of(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'server.db'}"


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.scalars(select(users.c.name)))


def test_what_is_written_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    with database.write() as connection:
        connection.execute(insert(users).values(name="anna", password_hash="x"))
    database.close()
    again = Database(url_of(tmp_path))
    assert names(again) == ["anna"]
    again.close()


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    twice = insert(users).values(name="anna", password_hash="x")
    with pytest.raises(IntegrityError), database.write() as connection:  # noqa: PT012
        connection.execute(twice)
        connection.execute(twice)
    assert names(database) == []
    database.close()


def test_readers_see_what_was_before_a_write_that_is_going_on(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    with database.write() as connection:
        connection.execute(insert(users).values(name="anna", password_hash="x"))
        assert names(database) == []
    assert names(database) == ["anna"]
    database.close()


def test_writers_of_several_processes_wait_for_each_other(tmp_path: Path) -> None:
    databases = [Database(url_of(tmp_path)) for _ in range(4)]
    with databases[0].write() as connection:
        connection.execute(insert(properties).values(name="count", value=0))

    def count(database: Database) -> None:
        for _ in range(25):
            with database.write() as connection:
                found = connection.scalar(
                    select(properties.c.value).where(properties.c.name == "count")
                )
                assert isinstance(found, int)
                connection.execute(
                    update(properties).where(properties.c.name == "count").values(value=found + 1)
                )

    threads = [threading.Thread(target=count, args=(each,)) for each in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with databases[0].read() as connection:
        found = connection.scalar(select(properties.c.value).where(properties.c.name == "count"))
    assert found == 100
    for database in databases:
        database.close()


def test_a_database_of_another_version_is_not_opened(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    with database.write() as connection:
        connection.execute(update(properties).values(value=SCHEMA_VERSION + 1))
    database.close()
    with pytest.raises(ConfigurationError, match=f"needs version {SCHEMA_VERSION}"):
        Database(url_of(tmp_path))


@pytest.mark.parametrize(
    "url", ["nonsense", "nosuchkind://x/y", "sqlite:////nowhere/at/all/server.db"]
)
def test_what_cannot_be_opened_is_explained(url: str) -> None:
    with pytest.raises(ConfigurationError, match="database"):
        Database(url)


def test_a_password_in_the_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database("sqlite://user:secret@host/nowhere/server.db")
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "server.db"
    path.write_bytes(b"my diary, and no database" * 100)
    with pytest.raises(ConfigurationError, match=r"server\.db"):
        Database(url_of(tmp_path))
    assert path.read_bytes().startswith(b"my diary")
