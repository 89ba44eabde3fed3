"""How the process of the service starts and ends."""

import shutil
import signal
import socket
from pathlib import Path

import pytest
from dxlclient.client import DxlClient

from dxlfabric.configuration import BrokerAddress, write_client_configuration
from dxlfiletransferclient.constants import SERVICE_TYPE
from tests.fabric import Fabric, new_topic, registered_services
from tests.processes import ROOT, Processes
from tests.services import Service, Services


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(
    services: Services, dxl_client: DxlClient, signal_number: signal.Signals
) -> None:
    service = services.start("one", new_topic())
    assert service.service_id in registered_services(dxl_client, SERVICE_TYPE)
    service.process.process.send_signal(signal_number)
    assert service.process.wait() == 0
    assert "Traceback" not in service.process.errors
    assert service.service_id not in registered_services(dxl_client, SERVICE_TYPE)


def test_a_signal_ends_the_wait_for_a_broker(
    fabric: Fabric, processes: Processes, tmp_path: Path
) -> None:
    # A port that is taken but not listened on refuses every connection.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        config = config_for_port(fabric, tmp_path, taken.getsockname()[1])
        service = processes.start_python("-m", "dxlfiletransferservice", config)
        service.wait_for_error_line("Retrying connect")
        service.process.terminate()
        assert service.wait() == 0
        assert "Traceback" not in service.errors


def test_the_packaged_logging_configuration_works(
    fabric: Fabric, processes: Processes, tmp_path: Path
) -> None:
    general: dict[str, str | Path] = {
        "storageDir": tmp_path / "files",
        "storeTopic": new_topic(),
    }
    config = fabric.write_service_directory(tmp_path / "config", general)
    shutil.copy(ROOT / "config" / "logging.config", config)
    service = processes.start_service(config)
    assert service.end() == 0
    assert " INFO dxlfiletransferservice.app: Registered " in service.errors
    assert "dxlclient.client: Trying to connect" not in service.errors


def test_a_second_signal_ends_it_at_once(
    fabric: Fabric, processes: Processes, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        config = config_for_port(fabric, tmp_path, mute.getsockname()[1])
        service = processes.start_python("-m", "dxlfiletransferservice", config)
        service.wait_for_error_line("Trying to connect to broker")
        service.process.terminate()
        service.wait_for_error_line("Ending the service")
        service.process.terminate()
        assert service.wait() == -signal.SIGTERM


BROKER = """
import signal, sys
from pathlib import Path
from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import provision

with EmbeddedBroker(provision(Path(sys.argv[1])).broker) as broker:
    print("port", broker.port, flush=True)
    signal.pause()
"""


def test_a_broker_that_hangs_does_not_keep_it_from_ending(
    fabric: Fabric, processes: Processes, tmp_path: Path
) -> None:
    broker = processes.start_python("-c", BROKER, fabric.provisioned.home)
    port = int(broker.wait_for_line("port ").split()[1])
    service = processes.start_service(config_for_port(fabric, tmp_path, port))
    broker.process.send_signal(signal.SIGSTOP)
    assert service.end() == 0
    assert "the broker did not confirm" in service.errors


def config_for_port(fabric: Fabric, tmp_path: Path, port: int) -> Path:
    """A configuration directory for a broker that is not there."""
    config = fabric.write_service_directory(tmp_path / "config", {"storageDir": tmp_path / "files"})
    credentials = fabric.provisioned.service.credentials
    address = BrokerAddress("absent", "127.0.0.1", port)
    write_client_configuration(config / "dxlclient.config", credentials, address)
    return config


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("[IncomingMessagePool]\nthreadCount=ten", "[IncomingMessagePool] threadCount = 'ten'"),
        ("storrTopic=/x", "[General] unknown setting storrtopic; did you mean storeTopic?"),
        ("no setting", "line 3: "),
    ],
)
def test_a_malformed_setting_ends_it_with_one_line(
    fabric: Fabric, processes: Processes, tmp_path: Path, settings: str, problem: str
) -> None:
    config = fabric.write_service_directory(
        tmp_path / "config", {"storageDir": tmp_path / "files"}, more=settings
    )
    line = failure(processes, config)
    assert line.startswith(f"{config}/dxlfiletransferservice.config: ")
    assert problem in line


@pytest.mark.parametrize("setting", ["storageDir", "workingDir"])
def test_a_directory_that_cannot_be_used_ends_it(
    fabric: Fabric, processes: Processes, tmp_path: Path, setting: str
) -> None:
    (tmp_path / "file").touch()
    general: dict[str, str | Path] = {"storageDir": tmp_path / "files"}
    general[setting] = tmp_path / "file" / "below"
    config = fabric.write_service_directory(tmp_path / "config", general)
    line = failure(processes, config, only_line=False)
    assert line.startswith(f"{config}/dxlfiletransferservice.config: [General] ")
    assert str(tmp_path / "file") in line
    assert "a file" in line


def test_a_directory_in_use_ends_it(
    service: Service, fabric: Fabric, processes: Processes, tmp_path: Path
) -> None:
    config = fabric.write_service_directory(tmp_path / "config", {"storageDir": service.storage})
    line = failure(processes, config, only_line=False)
    assert line.startswith(f"{config}/dxlfiletransferservice.config: [General] ")
    assert str(service.storage / ".workdir") in line


def test_missing_certificates_end_it(fabric: Fabric, processes: Processes, tmp_path: Path) -> None:
    config = fabric.write_service_directory(tmp_path / "config", {"storageDir": tmp_path / "files"})
    client_file = config / "dxlclient.config"
    certificate = str(fabric.provisioned.service.credentials.certificate)
    client_file.write_text(client_file.read_text().replace(certificate, "/missing/client.crt"))
    line = failure(processes, config, only_line=False)
    assert line.startswith(f"{client_file}: [Certs] CertFile: /missing/client.crt: No such file")


def test_a_template_ends_it(fabric: Fabric, processes: Processes, tmp_path: Path) -> None:
    config = fabric.write_service_directory(tmp_path / "config", {"storageDir": tmp_path / "files"})
    (config / "dxlclient.config").write_text("[Certs]\nCertFile=<path-to-dxlcert>\n")
    line = failure(processes, config)
    assert line.startswith(f"{config / 'dxlclient.config'}: fill in CertFile")


def test_an_unusable_logging_configuration_ends_it(
    fabric: Fabric, processes: Processes, tmp_path: Path
) -> None:
    config = fabric.write_service_directory(tmp_path / "config", {"storageDir": tmp_path / "files"})
    (config / "logging.config").write_text("[loggers]\nkeys=\n")
    line = failure(processes, config)
    assert line.startswith(f"{config / 'logging.config'}: is no usable logging configuration: ")


def failure(processes: Processes, config: Path, *, only_line: bool = True) -> str:
    """The problem with which the service ends when it cannot start."""
    process = processes.start_python("-m", "dxlfiletransferservice", config)
    assert process.wait() == 1
    assert process.output == ""
    assert "Traceback" not in process.errors
    *log, line = process.errors.splitlines()
    assert not (log and only_line)
    assert not any("ERROR" in each for each in log)
    prefix = "dxlfiletransferservice: "
    assert line.startswith(prefix)
    return line.removeprefix(prefix)


def test_a_missing_directory_is_created_to_be_filled_in(
    processes: Processes, tmp_path: Path
) -> None:
    line = failure(processes, tmp_path / "new")
    assert line.startswith(f"{tmp_path / 'new'}: created dxlclient.config, ")
    assert "fill in [Certs] and [Brokers]" in line
    assert len(list((tmp_path / "new").iterdir())) == 3


@pytest.mark.parametrize("arguments", [(), ("one", "two"), ("--nonsense",)])
def test_wrong_arguments_end_it_with_the_usage(
    processes: Processes, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    service = processes.start_python("-m", "dxlfiletransferservice", *arguments)
    assert service.wait() == 2
    assert service.errors.startswith("usage: python -m dxlfiletransferservice")
    assert list(tmp_path.iterdir()) == []
