"""What addresses resolve to."""

import socket
import threading
from typing import Any

import pytest

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.sending.addresses import Resolver

V4 = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))
V6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 0, 0, 0))


def answering(*found: Any) -> Resolver:
    return Resolver(lookup=lambda _: list(found))


@pytest.mark.parametrize("literal", ["192.0.2.7", "2001:db8::7", "::1"])
def test_ip_addresses_are_what_they_are(literal: str) -> None:
    assert answering()(literal) == literal


def test_version_4_comes_first() -> None:
    assert answering(V6, V4)("host") == "192.0.2.1"


def test_version_6_will_do() -> None:
    assert answering(V6)("host") == "2001:db8::1"


def test_this_machine_resolves_by_its_name() -> None:
    assert Resolver()("localhost") in ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    "address",
    ["a b", "a\n", "x" * 254, "host:8886", "user@host", "[::1]", "a/b", "http://host", "\ud800"],
)
def test_what_is_no_address_is_not_looked_up(address: str) -> None:
    with pytest.raises(CommandError, match="is none; allowed is a host name"):
        answering(V4)(address)


def test_a_name_that_nobody_knows_is_named() -> None:
    def lookup(_: str) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(
        CommandError, match="the address 'nowhere' does not resolve: Name or service"
    ) as refusal:
        Resolver(lookup=lookup)("nowhere")
    assert refusal.value.kind is ErrorKind.INVALID


def test_a_name_that_cannot_be_encoded_is_named() -> None:
    with pytest.raises(CommandError, match="does not resolve: it is no host name"):
        Resolver()("a" * 64 + ".example")


def test_a_name_without_addresses_is_named() -> None:
    with pytest.raises(CommandError, match="'host' does not resolve: it has no IP address"):
        answering()("host")


def test_a_look_up_that_hangs_is_given_up_and_takes_a_place_until_it_ends() -> None:
    release = threading.Event()

    def lookup(_: str) -> Any:
        release.wait(10)
        return [V4]

    resolver = Resolver(seconds=0.01, most=1, lookup=lookup)
    with pytest.raises(CommandError, match=r"'slow' does not resolve: no answer within 0\.01"):
        resolver("slow")
    with pytest.raises(CommandError, match="too many others") as refusal:
        resolver("next")
    assert refusal.value.kind is ErrorKind.BUSY
    release.set()
    for thread in threading.enumerate():
        if thread.name == "address-lookup":
            thread.join(10)
    assert Resolver(lookup=lookup)("later") == "192.0.2.1"
