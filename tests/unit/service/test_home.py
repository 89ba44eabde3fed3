import os
from pathlib import Path

import platformdirs
import pytest
from pytest_mock import MockerFixture

from dxlfiletransferservice.home import Home, HomeError, HomeInUseError


def test_argument_comes_before_environment_and_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DXLFT_HOME", str(tmp_path / "named"))
    assert Home.at(tmp_path / "given").path == tmp_path / "given"
    assert Home.at().path == tmp_path / "named"
    monkeypatch.setenv("DXLFT_HOME", "")
    assert Home.at().path == platformdirs.user_data_path("dxlft", appauthor=False)


def test_path_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert Home.at(Path("a")).path == tmp_path / "a"
    assert Home.at(Path("~/a")).path == Path("/home/somebody/a")


def test_one_process_holds_it(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "new")
    with home.held_for("server"):
        with pytest.raises(HomeInUseError) as caught, home.held_for("server"):
            pass
        assert f"the home {tmp_path}/new is in use: process {os.getpid()} is its server" in str(
            caught.value
        )
        with home.held_for("broker"):
            pass
    with home.held_for("server"):
        pass
    assert not (home.path / "server.pid").exists()


def test_note_that_is_gone_or_damaged(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    with home.held_for("server"):
        (tmp_path / "server.pid").write_text("garbage")
        with pytest.raises(HomeInUseError, match="another process is its server"):
            home.held_for("server").__enter__()
        (tmp_path / "server.pid").unlink()
        with pytest.raises(HomeInUseError, match="another process is its server"):
            home.held_for("server").__enter__()


def test_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeError, match=r"home cannot be used: .*--home or DXLFT_HOME"):
        Home.at(tmp_path / "file" / "home").held_for("server").__enter__()


def test_home_on_a_full_disk_is_let_go(tmp_path: Path, mocker: MockerFixture) -> None:
    home = Home.at(tmp_path)
    error = OSError(28, "No space left on device", str(tmp_path / "server.pid"))
    full = mocker.patch("pathlib.Path.write_text", side_effect=error)
    with pytest.raises(HomeError, match=r"server\.pid: No space left on device"):
        home.held_for("server").__enter__()
    mocker.stop(full)
    with home.held_for("server"):
        pass
