"""The settings of version 2: how files are taken, how much of them, and what clients may do."""

import pytest

from dxlfabric.errors import ConfigurationError
from dxlfiletransferclient.protocol.verbs import STORE_VERBS
from dxlfiletransferclient.storage.local import StoreOptions
from dxlfiletransferclient.storage.quotas import QuotaLimits
from dxlfiletransferservice.inifile import parse_ini
from dxlfiletransferservice.settings import ServiceSettings, parse_settings
from dxlfiletransferservice.transfersettings import AccessSettings, TransferSettings

MINIMAL = "[General]\nstorageDir=/srv/files\n"
MIB = 1_048_576
STORING = frozenset(["hello", "open", "segment", "status", "finish", "abort", "batch"])


def parse(text: str) -> ServiceSettings:
    return parse_settings(parse_ini(MINIMAL + text, source="file.config"), source="file.config")


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith("file.config: ")
    assert "\n" not in message
    assert len(message) < 300
    return message


def offered(text: str) -> set[str]:
    """What is offered beside storing files."""
    verbs = parse(text).access.verbs
    assert verbs >= STORING
    return set(verbs - STORING)


def test_all_of_them_have_defaults() -> None:
    settings = parse("")
    assert settings.transfers == TransferSettings(
        checkpoint_bytes=32 * MIB,
        checkpoint_seconds=2.0,
        window=64 * MIB,
        segment_size=1_040_384,
    )
    assert settings.quota == QuotaLimits(total_bytes=None, file_bytes=None, keep_free_bytes=0)
    assert settings.access == AccessSettings(
        retrieve=True, list=True, remove=True, symbolic_links=False
    )


def test_without_settings_a_store_has_its_own_defaults() -> None:
    settings = parse("")
    assert settings.store_options == StoreOptions(partial_lifetime=24 * 3600.0)


def test_every_one_is_read_and_reaches_the_store() -> None:
    settings = parse(
        "[Transfers]\ncheckpointMegabytes=5\ncheckpointSeconds=0.25\nwindowMegabytes=100\n"
        "segmentBytes=65536\n"
        "[Quota]\ntotalMegabytes=1000\nfileMegabytes=10\nkeepFreeMegabytes=7\n"
        "[Access]\nretrieve=no\nlist=no\nremove=no\nsymbolicLinks=yes\n"
    )
    options = settings.store_options
    assert (options.checkpoint_bytes, options.checkpoint_seconds) == (5 * MIB, 0.25)
    assert (options.window_total, options.window_each) == (100 * MIB, 16 * MIB)
    assert (options.segment_size, options.links) == (65_536, True)
    assert options.partial_lifetime == 24 * 3600.0
    assert options.quota == QuotaLimits(
        total_bytes=1000 * MIB, file_bytes=10 * MIB, keep_free_bytes=7 * MIB
    )
    assert settings.access == AccessSettings(
        retrieve=False, list=False, remove=False, symbolic_links=True
    )


def test_one_client_has_no_more_than_all_of_them() -> None:
    options = parse("[Transfers]\nwindowMegabytes=3\n").store_options
    assert options.window_each == options.window_total == 3 * MIB


def test_empty_ones_have_their_defaults() -> None:
    text = (
        "[Transfers]\ncheckpointMegabytes=\ncheckpointSeconds=\nwindowMegabytes=\nsegmentBytes=\n"
        "[Quota]\ntotalMegabytes=\nfileMegabytes=\nkeepFreeMegabytes=\n"
        "[Access]\nretrieve=\nlist=\nremove=\nsymbolicLinks=\n"
    )
    assert parse(text) == parse("")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"retrieve", "list", "stat", "remove"}),
        ("retrieve=no\n", {"list", "stat", "remove"}),
        ("list=no\n", {"retrieve", "stat", "remove"}),
        ("retrieve=no\nlist=no\n", {"remove"}),
        ("remove=no\n", {"retrieve", "list", "stat"}),
        ("retrieve=no\nlist=no\nremove=no\n", set()),
    ],
)
def test_what_is_not_allowed_is_not_offered(text: str, expected: set[str]) -> None:
    assert offered(f"[Access]\n{text}") == expected


def test_every_verb_is_offered_by_default() -> None:
    assert parse("").access.verbs == STORE_VERBS


@pytest.mark.parametrize("word", ["no", "No", "false", "off", "0"])
def test_ini_files_have_several_words_for_no(word: str) -> None:
    assert parse(f"[Access]\nremove={word}\n").access.remove is False


@pytest.mark.parametrize("word", ["nein", "2", "yes please", "y", "-"])
def test_other_words_are_refused(word: str) -> None:
    message = refusal(f"[Access]\nremove={word}\n")
    assert f"[Access] remove = {word!r}; allowed is yes or no" in message


@pytest.mark.parametrize(
    ("section", "setting", "lowest", "highest"),
    [
        ("Transfers", "checkpointMegabytes", 1, 10**12),
        ("Transfers", "windowMegabytes", 1, 100_000),
        ("Transfers", "segmentBytes", 1024, 1_040_384),
        ("Quota", "totalMegabytes", 1, 10**12),
        ("Quota", "fileMegabytes", 1, 10**12),
        ("Quota", "keepFreeMegabytes", 0, 10**12),
    ],
)
def test_numbers_have_limits(section: str, setting: str, lowest: int, highest: int) -> None:
    for good in (lowest, highest):
        parse(f"[{section}]\n{setting}={good}\n")
    for bad in (str(lowest - 1), str(highest + 1), "many", "1.5", "1e3", "9" * 5000):
        message = refusal(f"[{section}]\n{setting}={bad}\n")
        assert f"[{section}] {setting} = {bad[:80]!r}"[:-1] in message
        assert f"allowed is a whole number from {lowest} to {highest}" in message


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "3601", "1,5", "soon"])
def test_bad_checkpoint_seconds_are_refused(value: str) -> None:
    message = refusal(f"[Transfers]\ncheckpointSeconds={value}\n")
    assert f"[Transfers] checkpointSeconds = {value!r}; allowed is a number above 0" in message
