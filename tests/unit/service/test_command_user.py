import os
import sqlite3
from pathlib import Path

import pytest
from pytest_mock import MockerFixture
from typer.testing import Result

from dxlfiletransferservice.command import ExitCode
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.identity.passwords import Passwords
from dxlfiletransferservice.control.identity.users import User, Users
from tests.unit.service.dxlft import run_dxlft
from tests.unit.service.identities import CHEAP

Line = str | bytes | None


@pytest.fixture(autouse=True)
def cheap(mocker: MockerFixture) -> None:
    mocker.patch(
        "dxlfiletransferservice.command.user.Passwords", side_effect=lambda: Passwords(CHEAP)
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def user(home: Path, *arguments: str, lines: Line = None) -> Result:
    return run_dxlft(["user", *arguments, "--home", str(home)], input=lines)


def problem(result: Result) -> str:
    assert result.exit_code != 0
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line.removeprefix("dxlft: ")


def known(database: Path, name: str, password: str) -> User | None:
    """The user of a name in a database, if the password is the right one."""
    opened = Database(f"sqlite:///{database}")
    try:
        found = Users(opened, Passwords(CHEAP)).get(name)
        right = found is not None and Passwords(CHEAP).verify(found.password_hash, password)
        return found if right else None
    finally:
        opened.close()


@pytest.mark.parametrize(
    "lines", ["secret\nsecret\n", "secret\r\nsecret\r\n", "secret\n", "secret"]
)
def test_add_before_the_first_start(home: Path, lines: str) -> None:
    result = user(home, "add", "jsmith", lines=lines)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"added the user jsmith in the home {home}\n"
    found = known(home / "state" / "server.db", "jsmith", "secret")
    assert found is not None
    assert not found.superuser
    assert (home / "state").stat().st_mode & 0o077 == 0


def test_add_a_superuser(home: Path) -> None:
    assert user(home, "add", "root", "--superuser", lines="secret").exit_code == 0
    found = known(home / "state" / "server.db", "root", "secret")
    assert found is not None
    assert found.superuser


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("secret\nother\n", "was not the same twice"),
        ("secret\n\n", "was not the same twice"),
        ("", "standard input has no password of ann"),
        ("\n\n", "the password is empty"),
        ("x" * 1025, "more than 1024 characters"),
        ("x" * 10_000, "too long to be a secret"),
        (b"\xff\n", "no text in UTF-8"),
    ],
)
def test_passwords_that_cannot_be_one(home: Path, lines: Line, words: str) -> None:
    result = user(home, "add", "ann", lines=lines)
    assert result.exit_code == ExitCode.FAILURE
    assert words in problem(result)
    assert user(home, "list").stdout == ""


def test_terminal_is_asked_twice(home: Path, mocker: MockerFixture) -> None:
    stdin = mocker.patch("dxlfiletransferservice.command.secretinput.sys")
    stdin.stdin.isatty.return_value = True
    ask = mocker.patch("getpass.getpass", side_effect=["secret", "secret", "a", "b", EOFError])
    assert user(home, "add", "ann").exit_code == 0
    assert [each.args for each in ask.call_args_list] == [
        ("New password of ann: ",),
        ("The same again: ",),
    ]
    assert "was not the same twice" in problem(user(home, "add", "bob"))
    assert problem(user(home, "add", "bob")) == "nothing was typed"
    assert known(home / "state" / "server.db", "ann", "secret")


def test_names(home: Path) -> None:
    user(home, "add", "ann", lines="secret")
    assert problem(user(home, "add", "ann", lines="x")) == (
        "there is a user 'ann' already; for another password, use \"dxlft user password ann\""
    )
    assert "cannot be the name of a user" in problem(user(home, "add", "a/b", lines="x"))
    assert problem(user(home, "remove", "bob")) == "there is no user 'bob'"
    assert problem(user(home, "password", "bob", lines="x")) == "there is no user 'bob'"


@pytest.mark.parametrize("arguments", [["list"], ["remove", "ann"], ["password", "ann"]])
def test_nothing_is_made_of_a_home_that_is_not_there(home: Path, arguments: list[str]) -> None:
    result = user(home / "typo", *arguments, lines="secret")
    assert "there is no transfer server in the home" in problem(result)
    assert not (home / "typo").exists()


def test_list(home: Path) -> None:
    user(home, "add", "bob", lines="secret")
    user(home, "add", "ann", "--superuser", lines="secret")
    header, ann, bob = user(home, "list").stdout.splitlines()
    assert header.split() == ["NAME", "SUPERUSER", "ADDED"]
    assert ann.split()[:2] == ["ann", "yes"]
    assert bob.split()[:2] == ["bob", "no"]
    assert bob.endswith("Z")


def test_remove_and_password(home: Path) -> None:
    database = home / "state" / "server.db"
    user(home, "add", "ann", lines="secret")
    assert user(home, "password", "ann", lines="other\nother\n").exit_code == 0
    assert known(database, "ann", "other")
    assert not known(database, "ann", "secret")
    assert user(home, "remove", "ann").exit_code == 0
    assert not known(database, "ann", "other")


def settings(directory: Path, text: str) -> None:
    directory.mkdir(parents=True)
    (directory / "dxlfiletransferservice.config").write_text(
        f"[General]\nstorageDir=/srv/files\n[TransferServer]\n{text}\n"
    )


def test_places_of_the_settings(home: Path, tmp_path: Path) -> None:
    settings(home / "service", f"stateDir={tmp_path / 'elsewhere'}")
    user(home, "add", "ann", lines="secret")
    assert known(tmp_path / "elsewhere" / "server.db", "ann", "secret")
    assert not (home / "state").exists()


def test_database_of_the_settings(home: Path, tmp_path: Path) -> None:
    for directory in ("service", "joined"):
        settings(home / directory, f"database=sqlite:///{tmp_path / 'users.db'}")
    user(home, "add", "ann", lines="secret")
    assert known(tmp_path / "users.db", "ann", "secret")


def test_settings_that_differ(home: Path, tmp_path: Path) -> None:
    settings(home / "service", f"stateDir={tmp_path / 'one'}")
    settings(home / "joined", f"stateDir={tmp_path / 'other'}")
    result = user(home, "list")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "name different places for the state of the transfer server" in problem(result)


def test_settings_that_cannot_be_read(home: Path) -> None:
    settings(home / "service", "bogus=1")
    assert user(home, "list").exit_code == ExitCode.CONFIGURATION


def test_database_that_fails_shows_no_hash(home: Path, mocker: MockerFixture) -> None:
    user(home, "add", "ann", lines="secret")
    connection = sqlite3.connect(home / "state" / "server.db")
    connection.execute("DROP TABLE users")
    connection.execute("CREATE TABLE users (name TEXT)")
    connection.commit()
    connection.close()
    result = user(home, "add", "bob", lines="secret")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "the database of the transfer server in" in problem(result)
    assert "argon2" not in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_home_that_cannot_be_written_to(home: Path) -> None:
    home.mkdir()
    home.chmod(0o500)
    assert user(home, "add", "ann", lines="secret").exit_code == ExitCode.HOME


def test_home_that_is_a_file(home: Path) -> None:
    home.write_text("")
    result = user(home, "add", "ann", lines="secret")
    assert result.exit_code == ExitCode.HOME
    assert "choose another one with --home" in problem(result)


def test_help_without_a_command(home: Path) -> None:
    result = run_dxlft(["user"])
    assert result.exit_code == 0
    assert "Examples:\n    dxlft user add jsmith\n" in result.stdout
    assert "\\b" not in result.stdout
