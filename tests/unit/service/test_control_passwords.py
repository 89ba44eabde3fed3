import threading

import pytest
from argon2 import PasswordHasher
from pytest_mock import MockerFixture

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.identity.passwords import (
    MAX_PASSWORD,
    STANDARD_COST,
    Cost,
    Passwords,
    check_password,
)
from dxlfiletransferservice.control.identity.rememberedpasswords import RememberedPasswords
from tests.unit.service.identities import CHEAP, Clock
from tests.waiting import wait_until


def test_what_is_kept_is_argon2id_with_the_cost_and_another_salt_each_time() -> None:
    passwords = Passwords(Cost(rounds=2, memory_kib=16, lanes=1))
    first, second = passwords.hash("secret"), passwords.hash("secret")
    assert first.startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert first != second
    assert passwords.verify(first, "secret")
    assert passwords.verify(second, "secret")
    assert not passwords.verify(first, "secret ")


def test_standard_cost_is_what_the_rfc_recommends() -> None:
    cost = STANDARD_COST
    assert (cost.rounds, cost.memory_kib, cost.lanes) == (3, 64 * 1024, 4)


def test_nobody_costs_what_a_user_does(mocker: MockerFixture) -> None:
    passwords = Passwords(CHEAP)
    verify = mocker.spy(PasswordHasher, "verify")
    kept = passwords.hash("secret")
    assert not passwords.verify(None, "secret")
    assert not passwords.verify(kept, "wrong")
    (_, nobody, _), (_, somebody, _) = (call.args for call in verify.call_args_list)
    # Both are compared, at the same cost, and are of the same length.
    assert nobody.rsplit("$", 2)[0] == somebody.rsplit("$", 2)[0]
    assert len(nobody) == len(somebody)


def test_same_letters_typed_differently_are_the_same_password() -> None:
    passwords = Passwords(CHEAP)
    assert passwords.verify(passwords.hash("Gr\u00fc\u00dfe"), "Gru\u0308\u00dfe")


def test_characters_that_are_none_are_wrong_and_nothing_else() -> None:
    passwords = Passwords(CHEAP)
    assert not passwords.verify(passwords.hash("secret"), "\ud800")


@pytest.mark.parametrize("damaged", ["garbage", "$argon2id$garbage", "", "$argon2id$v=19$m=8,t=1"])
def test_damaged_hash_is_wrong_and_logged(damaged: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not Passwords(CHEAP).verify(damaged, "hunter2")
    assert "is damaged" in caplog.text
    assert "hunter2" not in caplog.text
    assert "argon2id" not in caplog.text


def test_other_cost_is_outdated() -> None:
    passwords = Passwords(CHEAP)
    assert not passwords.outdated(passwords.hash("secret"))
    assert passwords.outdated(Passwords(Cost(rounds=2, memory_kib=8, lanes=1)).hash("secret"))


@pytest.mark.parametrize("password", ["", "x" * (MAX_PASSWORD + 1)])
def test_password_that_cannot_be_one(password: str) -> None:
    with pytest.raises(CommandError, match="1024 characters") as caught:
        check_password(password)
    assert "xx" not in str(caught.value)


def test_few_slots_and_then_busy() -> None:
    passwords = Passwords(CHEAP, at_once=1, most_waiting=1, wait_seconds=30.0)
    entered = threading.Event()

    def wait_for_a_slot() -> None:
        with passwords.slot():
            entered.set()

    with passwords.slot():
        waiting = threading.Thread(target=wait_for_a_slot)
        waiting.start()
        wait_until(lambda: passwords._present == 2)
        with pytest.raises(CommandError) as caught, passwords.slot():
            pass
        assert caught.value.kind is ErrorKind.BUSY
        assert not entered.is_set()
    waiting.join(10)
    assert entered.is_set()
    with passwords.slot():
        pass


def test_slot_is_let_go_when_the_work_fails() -> None:
    passwords = Passwords(CHEAP, at_once=1, most_waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), passwords.slot():
            raise ZeroDivisionError


def test_waiting_ends() -> None:
    passwords = Passwords(CHEAP, at_once=1, wait_seconds=0.01)
    with passwords.slot(), pytest.raises(CommandError) as caught, passwords.slot():
        pass
    assert caught.value.kind is ErrorKind.BUSY


def test_remembered_for_the_peer_the_name_and_what_is_kept_alone() -> None:
    remembered = RememberedPasswords(Clock().seconds)
    remembered.remember("peer", "ann", "kept", "secret")
    assert remembered.knows("peer", "ann", "kept", "secret")
    assert not remembered.knows("other", "ann", "kept", "secret")
    assert not remembered.knows("peer", "other", "kept", "secret")
    assert not remembered.knows("peer", "ann", "other", "secret")
    assert not remembered.knows("peer", "ann", "kept", "other")
    # What is at the border of two of them cannot be moved to the other one.
    assert not remembered.knows("peera", "nn", "kept", "secret")


def test_remembered_for_a_while() -> None:
    clock = Clock()
    remembered = RememberedPasswords(clock.seconds, seconds=10)
    remembered.remember("peer", "ann", "kept", "secret")
    clock.advance(9)
    assert remembered.knows("peer", "ann", "kept", "secret")
    clock.advance(1)
    assert not remembered.knows("peer", "ann", "kept", "secret")


def test_remembered_are_bounded() -> None:
    remembered = RememberedPasswords(Clock().seconds, most=10)
    for number in range(100):
        remembered.remember("peer", f"user{number}", "kept", "secret")
    assert len(remembered) == 10
    assert remembered.knows("peer", "user99", "kept", "secret")
    assert not remembered.knows("peer", "user89", "kept", "secret")
