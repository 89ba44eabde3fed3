import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from dxlclient.client_config import DxlClientConfig

from dxlfabric.certificates import Provisioned, provision
from dxlfabric.configuration import (
    BrokerAddress,
    check_configuration,
    configured_broker,
    load_configuration,
    write_client_configuration,
)
from dxlfabric.credentials import Credentials
from dxlfabric.errors import ConfigurationError
from dxlfabric.issuing import new_key

BROKER = BrokerAddress("b1", "localhost", 8883, "127.0.0.1")


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Provisioned:
    return provision(tmp_path_factory.mktemp("fabric"))


@pytest.fixture
def client(fabric: Provisioned, tmp_path: Path) -> Path:
    """A client configuration, with relative file names, that a test may spoil."""
    directory = tmp_path / "client"
    shutil.copytree(fabric.client.configuration.parent, directory)
    (directory / "dxlclient.config").write_text(
        "[Certs]\nBrokerCertChain=ca-bundle.crt\nCertFile=client.crt\nPrivateKey=client.key\n"
        "[Brokers]\nb1=b1;8883;localhost;127.0.0.1\n"
        "[BrokersWebSockets]\n"
    )
    return directory / "dxlclient.config"


def credentials_in(directory: Path) -> Credentials:
    return Credentials(directory / "ca.crt", directory / "client.crt", directory / "client.key")


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    "name",
    ["plain", "a, b", "a # b", "it's", 'say "x"', "é ü", " space ", "a;b", "50%", "$HOME", "="],
)
def test_official_client_reads_any_path(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    path = directory / "dxlclient.config"

    assert write_client_configuration(path, credentials_in(directory), BROKER)
    assert not write_client_configuration(path, credentials_in(directory), BROKER)

    config = DxlClientConfig.create_dxl_config_from_file(str(path))
    assert config.broker_ca_bundle == str(directory / "ca.crt")
    assert config.cert_file == str(directory / "client.crt")
    assert config.private_key == str(directory / "client.key")
    assert config.brokers[0].to_string() == (
        "{Unique id: b1, Host name: localhost, IP address: 127.0.0.1, Port: 8883}"
    )


@pytest.mark.parametrize("name", ["%(home)s", "a\nb", "both ''' and \"\"\""])
def test_path_that_the_format_cannot_express(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    path = directory / "dxlclient.config"
    with pytest.raises(ConfigurationError):
        write_client_configuration(path, credentials_in(directory), BROKER)
    assert not path.exists()


def test_files_of_the_same_name_in_the_current_directory_are_not_taken(
    tmp_path: Path, fabric: Provisioned, client: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoys = tmp_path / "elsewhere"
    decoys.mkdir()
    for name in ("ca-bundle.crt", "client.crt", "client.key"):
        (decoys / name).write_text("a decoy")
    monkeypatch.chdir(decoys)

    official = DxlClientConfig.create_dxl_config_from_file(str(fabric.client.configuration))
    assert official.cert_file == str(fabric.client.credentials.certificate)
    assert official.private_key == str(fabric.client.credentials.private_key)
    assert official.broker_ca_bundle == str(fabric.client.credentials.authority)
    ours = load_configuration(client)
    assert ours.cert_file == str(client.parent / "client.crt")
    assert ours.private_key == str(client.parent / "client.key")
    assert ours.broker_ca_bundle == str(client.parent / "ca-bundle.crt")


def test_configuration_named_relative_to_the_current_directory(
    client: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(client.parent)
    assert load_configuration(Path("dxlclient.config")).cert_file == str(
        client.parent / "client.crt"
    )


def test_update_keeps_what_belongs_to_the_person(tmp_path: Path) -> None:
    path = tmp_path / "dxlclient.config"
    path.write_text(
        "# mine\n[General]\nClientId = me\n[Certs]\n# kept, too\nCertFile = old\n"
        "[Brokers]\nold = old;1;gone\n"
    )

    assert write_client_configuration(path, credentials_in(tmp_path), BROKER)

    text = path.read_text()
    assert "# mine" in text
    assert "# kept, too" in text
    assert "ClientId = me" in text
    assert "gone" not in text
    assert not write_client_configuration(path, credentials_in(tmp_path), BROKER)


def test_new_port_changes_the_broker_alone(tmp_path: Path) -> None:
    path = tmp_path / "dxlclient.config"
    write_client_configuration(path, credentials_in(tmp_path), BROKER)
    before = path.read_text().splitlines()

    moved = BrokerAddress("b1", "localhost", 12345, "127.0.0.1")
    assert write_client_configuration(path, credentials_in(tmp_path), moved)

    after = path.read_text().splitlines()
    assert [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]] == [
        ("b1 = b1;8883;localhost;127.0.0.1", "b1 = b1;12345;localhost;127.0.0.1")
    ]
    assert configured_broker(path) == moved


@pytest.mark.parametrize("content", [b"[Certs\n", b"[Certs]\nno value\n", b"\xff\xfe\xfa"])
def test_malformed_file_is_named_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dxlclient.config"
    path.write_bytes(content)
    with pytest.raises(
        ConfigurationError, match=r"dxlclient\.config: .*correct the file or remove"
    ):
        write_client_configuration(path, credentials_in(tmp_path), BROKER)
    with pytest.raises(ConfigurationError, match=r"dxlclient\.config: "):
        load_configuration(path)
    assert path.read_bytes() == content


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.config: there is no such"):
        load_configuration(tmp_path / "none.config")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("CertFile=client.crt\n", "", r"dxlclient\.config: CertFile"),
        ("CertFile=client.crt", "CertFile=", r"dxlclient\.config: .*ertificate file"),
        ("CertFile=client.crt", "CertFile=a, b", r"CertFile: no file name; .*quotes"),
        ("CertFile=client.crt", "CertFile=%(a)s", r"dxlclient\.config: .*interpolation"),
        ("client.crt", "none.crt", r"\[Certs\] CertFile: none\.crt: No such file"),
        ("client.key", "/none.key", r"\[Certs\] PrivateKey: /none\.key: No such file"),
        ("ca-bundle.crt", "none.crt", r"\[Certs\] BrokerCertChain: none\.crt: No such file"),
        ("=ca-bundle.crt", "=dxlclient.config", r"BrokerCertChain: .* holds no CA certificates"),
        ("=client.key", "=client.crt", r"CertFile, PrivateKey: .* are no certificate and the key"),
        ("=client.crt", "=client.key", r"CertFile, PrivateKey: .* are no certificate and the key"),
        ("b1=b1;8883;localhost;127.0.0.1\n", "", r"\[Brokers\]: no broker is named"),
        ("b1;8883;", "b1;notaport;", r"\[Brokers\]: .*port"),
        ("b1;8883;", "b1;70000;", r"\[Brokers\]: .*port"),
        ("b1;8883;localhost;127.0.0.1", "b1", r"\[Brokers\]: "),
        ("[Brokers]\n", "[[Brokers]]\n", r"dxlclient\.config: "),
    ],
)
def test_fault_is_named_with_file_and_setting(
    client: Path, old: str, new: str, message: str
) -> None:
    spoil(client, old, new)
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_configuration(client)
    assert str(client) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_key_of_another_certificate(client: Path) -> None:
    pem = new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (client.parent / "client.key").write_bytes(pem)
    with pytest.raises(ConfigurationError, match="no certificate and the key that belongs to it"):
        load_configuration(client)


def test_encrypted_key_is_refused_and_not_asked_for(client: Path) -> None:
    key = new_key()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (client.parent / "client.key").write_bytes(pem)
    with pytest.raises(ConfigurationError, match=r"PrivateKey: .*client\.key is encrypted"):
        load_configuration(client)


def test_configuration_made_by_a_program_is_checked(fabric: Provisioned) -> None:
    files = fabric.client.credentials
    config = DxlClientConfig(str(files.authority), str(files.certificate), "none.key", [])
    with pytest.raises(ConfigurationError, match=r"client configuration: \[Brokers\]: no broker"):
        check_configuration(config)
