"""The settings file of the service: every good value is taken, every bad one is named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from dxlfabric.errors import ConfigurationError
from dxlfiletransferservice.inifile import parse_ini
from dxlfiletransferservice.settings import (
    PoolSettings,
    ServiceSettings,
    default_thread_count,
    parse_settings,
    read_settings,
)

MINIMAL = "[General]\nstorageDir=/srv/files\n"


def parse(text: str) -> ServiceSettings:
    return parse_settings(parse_ini(text, source="file.config"), source="file.config")


def refusal(text: str) -> str:
    """The one line with which a settings file is refused."""
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith("file.config: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("processors", "threads"), [(1, 2), (2, 2), (3, 3), (4, 4), (64, 4)])
def test_there_is_a_thread_for_each_processor_as_far_as_that_makes_sense(
    mocker: MockerFixture, processors: int, threads: int
) -> None:
    mocker.patch("os.sched_getaffinity", return_value=set(range(processors)))
    settings = parse(MINIMAL)
    assert settings.incoming.thread_count == settings.callbacks.thread_count == threads
    mocker.patch("os.cpu_count", return_value=processors)
    mocker.patch("os.sched_getaffinity", None)  # not every system has it
    assert parse(MINIMAL) == settings


def test_only_the_storage_directory_is_required() -> None:
    assert parse(MINIMAL) == ServiceSettings(
        storage_dir=Path("/srv/files"),
        working_dir=None,
        store_topic="/opendxl-file-transfer/service/file-transfer/file/store",
        partial_file_lifetime=24 * 3600.0,
        incoming=PoolSettings(queue_size=128, thread_count=default_thread_count()),
        callbacks=PoolSettings(queue_size=128, thread_count=default_thread_count()),
    )


def test_every_setting_is_read() -> None:
    settings = parse(
        """
        [General]
        storageDir = /srv/files
        workingDir = /srv/work
        storeTopic = /mycompany/store
        partialFileLifetimeHours = 0.5
        [IncomingMessagePool]
        queueSize = 5
        threadCount = 6
        [MessageCallbackPool]
        queueSize = 7
        threadCount = 8
        """.replace("        ", "")
    )
    assert settings == ServiceSettings(
        storage_dir=Path("/srv/files"),
        working_dir=Path("/srv/work"),
        store_topic="/mycompany/store",
        partial_file_lifetime=1800.0,
        incoming=PoolSettings(queue_size=5, thread_count=6),
        callbacks=PoolSettings(queue_size=7, thread_count=8),
    )


def test_empty_optional_settings_have_their_defaults() -> None:
    text = (
        MINIMAL + "workingDir=\nstoreTopic= \npartialFileLifetimeHours=\n"
        "[IncomingMessagePool]\nqueueSize=\nthreadCount="
    )
    assert parse(text) == parse(MINIMAL)


def test_names_are_found_in_any_case_and_values_may_refer_to_others() -> None:
    settings = parse("[DEFAULT]\nbase=/srv\n[General]\nSTORAGEDIR=%(base)s/100%%\n")
    assert settings.storage_dir == Path("/srv/100%")


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert parse("[General]\nstorageDir=~/files\n").storage_dir == Path("/home/somebody/files")


def test_a_relative_path_stays_relative_to_the_current_directory() -> None:
    assert parse("[General]\nstorageDir=files\n").storage_dir == Path("files")


@pytest.mark.parametrize(
    "working_dir", ["/srv/files", "/srv/files/", "/srv/files/../files", "/srv", "/"]
)
def test_a_working_directory_around_the_storage_directory_is_refused(working_dir: str) -> None:
    message = refusal(MINIMAL + f"workingDir={working_dir}\n")
    assert f"[General] workingDir = '{working_dir.rstrip('/') or '/'}'" in message


def test_a_working_directory_inside_the_storage_directory_is_usual() -> None:
    assert parse(MINIMAL + "workingDir=/srv/files/in").working_dir == Path("/srv/files/in")


@pytest.mark.parametrize("text", ["", "[General]\n", "[General]\nstorageDir=\n", "\n[General]\n"])
def test_a_missing_storage_directory_is_named(text: str) -> None:
    assert "[General] storageDir is required" in refusal(text)


@pytest.mark.parametrize(
    ("text", "named", "suggested"),
    [
        ("[Genral]\nstorageDir=/srv\n", "unknown section [Genral]", "did you mean General?"),
        ("[IncomingPool]\n", "unknown section [IncomingPool]", "IncomingMessagePool?"),
        ("[Acces]\n", "unknown section [Acces]", "did you mean Access?"),
        ("[Quota]\nfileMb=1\n", "[Quota] unknown setting filemb", "known are totalMegabytes,"),
        ("[Access]\nretrive=no\n", "[Access] unknown setting retrive", "did you mean retrieve?"),
        ("[General]\nstoragDir=/srv\n", "[General] unknown setting storagdir", "mean storageDir?"),
        (
            MINIMAL + "[IncomingMessagePool]\nthreads=4\n",
            "[IncomingMessagePool] unknown setting threads",
            "did you mean threadCount?",
        ),
        (MINIMAL + "[Other]\nx=1\n", "unknown section [Other]", "known are General,"),
        (MINIMAL + "colour=red\n", "[General] unknown setting colour", "known are storageDir,"),
    ],
)
def test_unknown_names_are_refused_with_a_hint(text: str, named: str, suggested: str) -> None:
    message = refusal(text)
    assert named in message
    assert suggested in message


@pytest.mark.parametrize("section", ["IncomingMessagePool", "MessageCallbackPool"])
@pytest.mark.parametrize("setting", ["queueSize", "threadCount"])
@pytest.mark.parametrize("value", ["0", "-1", "ten", "1.5", "1000001", "0x10", "∞", "9" * 5000])
def test_bad_pool_settings_are_refused(section: str, setting: str, value: str) -> None:
    message = refusal(f"{MINIMAL}[{section}]\n{setting}={value}\n")
    assert f"[{section}] {setting} = {value[:80]!r}"[:-1] in message
    assert "allowed is a whole number from 1 to" in message
    assert len(message) < 300


@pytest.mark.parametrize(("setting", "most"), [("queueSize", 1_000_000), ("threadCount", 1000)])
def test_the_limits_of_pool_settings_are_allowed(setting: str, most: int) -> None:
    for value in (1, most):
        pool = parse(f"{MINIMAL}[IncomingMessagePool]\n{setting}={value}\n").incoming
        assert value in (pool.queue_size, pool.thread_count)
    assert f"to {most}" in refusal(f"{MINIMAL}[IncomingMessagePool]\n{setting}={most + 1}\n")


@pytest.mark.parametrize("value", ["0", "-1", "0.0", "nan", "inf", "-inf", "a day", "0,5", "1e300"])
def test_bad_lifetimes_are_refused(value: str) -> None:
    message = refusal(f"{MINIMAL}partialFileLifetimeHours={value}\n")
    assert f"[General] partialFileLifetimeHours = {value!r}; allowed is a number above 0" in message


@pytest.mark.parametrize("value", ["/a/+/b", "/a/#", "/" + "a" * 1024, "/a" + "ü" * 512])
def test_topics_that_no_broker_takes_are_refused(value: str) -> None:
    assert "[General] storeTopic = '/a" in refusal(f"{MINIMAL}storeTopic={value}\n")


def test_a_topic_may_be_as_long_as_the_limit() -> None:
    topic = "/" + "a" * 1023
    assert parse(f"{MINIMAL}storeTopic={topic}\n").store_topic == topic


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("storageDir=/srv\n", "line 1: 'storageDir=/srv' stands before the first [section]"),
        ("\x7fELF\x02\x01\x01\x00", "stands before the first [section]; is this an ini file?"),
        ("[General]\nstorageDir\n", "line 2: "),
        ("[General]\nstorageDir=a\nstorageDir=b\n", "line 3: [General] storagedir is set a second"),
        ("[General]\n[General]\n", "line 2: section [General] appears a second time"),
        ("[General]\nstorageDir=50%\n", "[General] storageDir has a %"),
        ("[General]\nstorageDir=%(nothing)s\n", "[General] storageDir has a %"),
        ("[General]\nstorageDir=/srv\n  workingDir=/tmp\n", "[General] storageDir = '/srv\\nwork"),
        ("[General]\nstorageDir=/srv/\x00x\n", "[General] storageDir = '/srv/\\x00x' has control"),
        ("[General]\nstorageDir=~nobody-of-this-name/x\n", "names a home directory that is not"),
    ],
)
def test_malformed_files_are_refused(text: str, problem: str) -> None:
    assert problem in refusal(text)


@given(st.text(max_size=200))
def test_any_text_gives_settings_or_one_clear_line(text: str) -> None:
    message = ""
    try:
        parse(text)
    except ConfigurationError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1


@given(st.integers(1, 1000), st.integers(1, 1_000_000), st.floats(0.001, 1000))
def test_good_numbers_are_taken_as_they_are(threads: int, queue: int, hours: float) -> None:
    settings = parse(
        f"{MINIMAL}partialFileLifetimeHours={hours}\n"
        f"[IncomingMessagePool]\nthreadCount={threads}\nqueueSize={queue}\n"
    )
    assert settings.incoming == PoolSettings(queue_size=queue, thread_count=threads)
    assert settings.partial_file_lifetime == hours * 3600


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert read_settings(path).storage_dir == Path("/srv/files")


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    for name, problem in (("missing", "cannot be read: No such file"), ("folder", "directory")):
        path = tmp_path / name
        if name == "folder":
            path.mkdir()
        with pytest.raises(ConfigurationError, match=f"{path}: .*{problem}"):
            read_settings(path)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    path.write_bytes(b"[General]\nstorageDir=/srv/\xff\n")
    with pytest.raises(ConfigurationError, match=r"is no text in UTF-8 \(byte 26\)"):
        read_settings(path)
