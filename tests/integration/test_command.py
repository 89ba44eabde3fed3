"""``dxlft`` as real processes."""

import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from dxlfabric.configuration import configured_broker
from dxlfabric.connection import connect
from dxlfiletransferclient.constants import SERVICE_TYPE
from tests.commandline import (
    CommandLine,
    brokers_of,
    code_of,
    problem,
    wait_until_gone,
    wait_until_served,
)
from tests.fabric import Fabric, registered_services
from tests.processes import Processes
from tests.tlsservers import unused_port
from tests.waiting import TIMEOUT, wait_until


def test_first_start_makes_the_home(dxlft: CommandLine) -> None:
    port = unused_port()
    server = dxlft.server("--port", port)

    assert server.output.splitlines()[0].startswith("ready")
    assert f"port {port}" in server.output
    address = configured_broker(dxlft.configuration)
    assert address is not None
    assert address.port == port
    assert (dxlft.home / "storage").is_dir()
    with connect(dxlft.configuration) as client:
        assert registered_services(client, SERVICE_TYPE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_server_and_broker(dxlft: CommandLine, number: signal.Signals) -> None:
    server = dxlft.server()
    ((broker, _),) = brokers_of(server)

    server.process.send_signal(number)

    assert server.wait(TIMEOUT) == 0
    assert not psutil.pid_exists(broker)
    assert "Traceback" not in server.errors
    assert "dxlft: " not in server.errors
    assert not (dxlft.home / "server.pid").exists()


def test_interrupt_from_the_keyboard_reaches_the_server_alone(dxlft: CommandLine) -> None:
    server = dxlft.server()
    ((broker, _),) = brokers_of(server)
    assert os.getpgid(broker) != os.getpgid(server.process.pid)


def test_second_start_is_refused(shared: CommandLine) -> None:
    pid = int((shared.home / "server.pid").read_text())

    second = shared.run("server", "--port", "0")

    assert code_of(second) == 4
    assert problem(second).startswith(
        f"dxlft: the home {shared.home} is in use: process {pid} is its server"
    )
    assert second.output == ""


def test_port_that_is_taken(dxlft: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = dxlft.run("server", "--port", port)
    assert code_of(server) == 6
    assert f"port {port}" in problem(server)
    assert "choose another port" in problem(server)


def test_home_that_cannot_be_used(dxlft: CommandLine) -> None:
    dxlft.home.touch()
    server = dxlft.run("server", "--port", "0")
    assert code_of(server) == 4
    assert str(dxlft.home) in problem(server)


def test_certificates_that_do_not_belong_together(dxlft: CommandLine) -> None:
    assert code_of(dxlft.run("provision")) == 0
    (dxlft.home / "fabric" / "broker.crt").write_bytes(
        (dxlft.home / "client" / "client.crt").read_bytes()
    )
    server = dxlft.run("server", "--port", "0")
    assert code_of(server) == 5
    assert "broker.crt does not belong to the key" in problem(server)


def test_mistake_in_the_settings(dxlft: CommandLine) -> None:
    assert code_of(dxlft.run("provision")) == 0
    settings = dxlft.home / "service" / "dxlfiletransferservice.config"
    settings.write_text("[General]\nstorageDir=x\nbogus=1\n")
    server = dxlft.run("server", "--port", "0")
    assert code_of(server) == 5
    assert f"{settings}: " in problem(server)
    assert settings.read_text() == "[General]\nstorageDir=x\nbogus=1\n"


def test_broker_that_dies_is_started_again_on_its_port(dxlft: CommandLine, tmp_path: Path) -> None:
    server = dxlft.server()
    ((broker, port),) = brokers_of(server)
    with connect(dxlft.configuration) as client:
        os.kill(broker, signal.SIGKILL)
        wait_until(lambda: len(brokers_of(server)) == 2)
        assert brokers_of(server)[1][1] == port
        server.wait_for_error_line("ended by signal 9; starting it again")
        wait_until_served(client)

    (tmp_path / "file").write_bytes(b"content")
    assert code_of(dxlft.run("send", tmp_path / "file")) == 0
    assert (dxlft.home / "storage" / "file").read_bytes() == b"content"
    assert server.end() == 0
    assert not psutil.pid_exists(brokers_of(server)[1][0])


def test_broker_ends_with_a_server_that_is_killed(dxlft: CommandLine) -> None:
    server = dxlft.server()
    ((broker, _),) = brokers_of(server)
    server.kill()
    wait_until_gone(broker)
    dxlft.server()


def test_broker_alone(dxlft: CommandLine) -> None:
    broker = dxlft.start("broker", "--port", "0")
    line = broker.wait_for_line("ready")
    address = configured_broker(dxlft.configuration)
    assert address is not None
    assert f"127.0.0.1 port {address.port};" in line
    with connect(dxlft.configuration) as client:
        assert registered_services(client, SERVICE_TYPE) == set()
    assert broker.end() == 0


def test_broker_listens_where_it_is_told(dxlft: CommandLine) -> None:
    broker = dxlft.start("broker", "--port", "0", "--host", "127.0.0.2")
    assert "127.0.0.2 port" in broker.wait_for_line("ready")
    address = configured_broker(dxlft.configuration)
    assert address is not None
    assert address.host == "127.0.0.2"
    with connect(dxlft.configuration) as client:
        assert client.connected


def test_server_that_does_not_run(dxlft: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert code_of(dxlft.run("provision", "--port", unused_port())) == 0
    process = dxlft.run("send", tmp_path / "a")
    assert code_of(process) == 3
    assert "nobody listens there" in problem(process)


def test_server_on_a_fabric_that_exists(
    dxlft: CommandLine, own_fabric: Fabric, tmp_path: Path
) -> None:
    configuration = own_fabric.write_configuration(tmp_path / "fabric.config")
    server = dxlft.server("--config", configuration, "--storage", tmp_path / "files")
    assert brokers_of(server) == []
    (tmp_path / "a").write_bytes(b"content")

    process = dxlft.run("send", tmp_path / "a", "--config", configuration)

    assert code_of(process) == 0
    assert (tmp_path / "files" / "a").read_bytes() == b"content"
    assert not dxlft.configuration.exists()
    assert server.end() == 0
    with connect(configuration) as client:
        assert registered_services(client, SERVICE_TYPE) == set()


def test_server_on_a_fabric_that_is_not_there(dxlft: CommandLine, own_fabric: Fabric) -> None:
    configuration = own_fabric.write_configuration(dxlft.home.with_name("fabric.config"))
    text = configuration.read_text().replace(f";{own_fabric.broker.port};", f";{unused_port()};")
    configuration.write_text(text)
    server = dxlft.run("server", "--config", configuration)
    assert code_of(server) == 3
    assert "nobody listens there" in problem(server)


@pytest.mark.parametrize("command", ["send", "get", "ls", "stat", "rm", "broker", "provision"])
def test_what_needs_no_database_does_not_load_one(processes: Processes, command: str) -> None:
    text = (
        "import sys\n"
        "from dxlfiletransferservice.command import command_line\n"
        f"command_line([{command!r}])\n"
        "sys.exit('sqlalchemy' in sys.modules)\n"
    )
    process = processes.start_python("-c", text)
    assert process.wait() == 0, process.errors
