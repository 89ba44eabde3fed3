import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferservice.control.commands import Login
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import tokens as table
from tests.unit.service.identities import START_US, Control, controlled

ANN, BOB = Principal("ann"), Principal("bob")
ROOT = Principal("root", superuser=True, may_raise=True)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    with controlled(tmp_path) as made:
        yield made


def _id(token: str) -> str:
    return token.partition(".")[0]


def _root(control: Control) -> Login:
    login = control.session(Principal("root", may_raise=True))
    control.call(login, "server.superuser")
    return login


def _refused(control: Control, login: Login, command: str, **values: Any) -> CommandError:
    with pytest.raises(CommandError) as caught:
        control.call(login, command, **values)
    return caught.value


def test_structure_of_a_shared_token(control: Control) -> None:
    manifest = control.manifest("ann")
    made = control.call(
        control.session(ANN),
        "send.createSharedToken",
        manifestId={"manifestId": manifest, "status": "complete"},
        password="pass",
        downloadLimit=3,
        timeLimitSeconds=60.5,
        description="for you",
    )
    assert made == {
        "token": made["token"],
        "description": "for you",
        "creationTime": START_US,
        "expiryTime": START_US + 60_500_000,
        "passwordRequired": True,
        "permissions": ["download"],
        "owner": "ann",
        "ownerToken": None,
        "ownerTokenSession": None,
        "userData": {},
        "downloadCount": 0,
        "downloadLimit": 3,
        "manifestId": manifest,
    }
    assert control.access.by_token(made["token"], "pass", peer="p").manifest_id == int(manifest)


def test_defaults_of_a_shared_token(control: Control) -> None:
    made = control.call(
        control.session(ANN), "send.createSharedToken", manifestId=int(control.manifest("ann"))
    )
    assert (made["expiryTime"], made["downloadLimit"], made["description"]) == (None, None, None)
    assert made["passwordRequired"] is False


def test_structure_of_an_api_token(control: Control) -> None:
    made = control.call(
        control.session(ANN),
        "server.createAPIToken",
        path="data//in/",
        permissions=["upload", "download", "upload"],
        timeLimitSeconds=5,
    )
    assert made == {
        "token": made["token"],
        "description": None,
        "creationTime": START_US,
        "expiryTime": START_US + 5_000_000,
        "passwordRequired": False,
        "permissions": ["download", "upload"],
        "owner": "ann",
        "ownerToken": None,
        "ownerTokenSession": None,
        "userData": {},
        "path": "/data/in",
    }


def test_api_token_permits_everything_by_default(control: Control) -> None:
    made = control.call(control.session(ANN), "server.createAPIToken", path="/")
    assert made["permissions"] == ["createLinks", "delete", "download", "upload"]
    assert made["path"] is None


def test_token_is_shown_whole_once_and_found_by_all_its_forms(control: Control) -> None:
    login = control.session(ANN)
    for kind, whole in (
        ("send.getSharedToken", control.shared_token("ann")),
        ("server.getAPIToken", control.api_token("ann")),
    ):
        found = control.call(login, kind, token=whole)
        assert found["token"] == _id(whole)
        assert found == control.call(login, kind, token=_id(whole))
        assert found == control.call(login, kind, token=found)
        assert found == control.call(login, kind, token={"token": whole})
        assert control.call(login, f"{kind}s") == [found]


def test_update_changes_what_is_named_alone(control: Control) -> None:
    login = control.session(ANN)
    token = control.shared_token("ann", description="old", downloadLimit=2)
    before = control.call(login, "send.getSharedToken", token=token)
    assert control.call(login, "send.updateSharedToken", token=token) is None
    assert control.call(login, "send.getSharedToken", token=token) == before
    control.call(login, "send.updateSharedToken", token=before, description="new")
    after = control.call(login, "send.getSharedToken", token=token)
    assert after == before | {"description": "new"}
    control.clock.advance(10)
    control.call(login, "send.updateSharedToken", token=token, timeLimitSeconds=5)
    after = control.call(login, "send.getSharedToken", token=token)
    assert after == before | {"description": "new", "expiryTime": START_US + 15_000_000}


def test_deleted_token_is_gone(control: Control) -> None:
    login = control.session(ANN)
    token = control.shared_token("ann")
    assert control.call(login, "send.deleteSharedToken", token=token) is None
    for command in ("send.deleteSharedToken", "send.getSharedToken", "send.updateSharedToken"):
        error = _refused(control, login, command, token=token)
        assert error.kind is ErrorKind.NOT_FOUND
        assert str(error) == f"there is no shared token '{_id(token)}'"
    assert control.call(login, "send.getSharedTokens") == []


@pytest.mark.parametrize("status", ["pending", "error"])
def test_manifest_must_be_complete(status: str, control: Control) -> None:
    manifest = control.manifest("ann", status=status)
    error = _refused(control, control.session(ANN), "send.createSharedToken", manifestId=manifest)
    assert error.kind is ErrorKind.STATE
    assert str(error) == f"the manifest '1' has the status '{status}': it must be 'complete' first"


@pytest.mark.parametrize("manifest", ["7", 7, "x", {"manifestId": "7"}, "9" * 30, -1])
def test_manifest_must_be_there(manifest: Any, control: Control) -> None:
    error = _refused(control, control.session(ANN), "send.createSharedToken", manifestId=manifest)
    assert error.kind is ErrorKind.NOT_FOUND
    assert str(error).startswith("there is no manifest")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"downloadLimit": 0}, "'downloadLimit' .* from 1 to 2147483647"),
        ({"downloadLimit": "3"}, "'downloadLimit'"),
        ({"timeLimitSeconds": 0}, "'timeLimitSeconds' .* from 1 to"),
        ({"timeLimitSeconds": 1e99}, "'timeLimitSeconds'"),
        ({"description": "x" * 5000}, "'description'"),
        ({"password": ""}, "'password' must be text of 1 to 1024 characters"),
        ({"password": ["hunter2"]}, "'password' must be text of 1 to 1024 characters"),
        ({"password": "hunter2\0"}, "'password' must be text of 1 to 1024 characters"),
        ({"passwort": "x"}, "takes no argument 'passwort'"),
    ],
)
def test_wrong_arguments_of_a_shared_token(
    values: dict[str, Any], text: str, control: Control
) -> None:
    login = control.session(ANN)
    manifest = control.manifest("ann")
    with pytest.raises(CommandError, match=text) as caught:
        control.call(login, "send.createSharedToken", manifestId=manifest, **values)
    assert caught.value.kind is ErrorKind.INVALID
    assert "hunter2" not in str(caught.value)
    assert control.call(login, "send.getSharedTokens") == []


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"permissions": []}, "'permissions' must be a list with some of createLinks, delete, "),
        ({"permissions": "upload"}, "'permissions' must be a list"),
        ({"permissions": ["fly"]}, "there is no permission 'fly'; there are createLinks, delete"),
        ({"permissions": [["upload"]]}, "there is no permission a value of type list"),
        ({"path": "/a/../b"}, "has '..' in it"),
        ({"path": ""}, "a path must have"),
        ({"path": 7}, "'path'"),
    ],
)
def test_wrong_arguments_of_an_api_token(
    values: dict[str, Any], text: str, control: Control
) -> None:
    login = control.session(ANN)
    with pytest.raises(CommandError, match=text):
        control.call(login, "server.createAPIToken", **values)
    assert control.call(login, "server.getAPITokens") == []


def test_path_of_an_api_token_lies_in_the_sandbox(control: Control, tmp_path: Path) -> None:
    control.sandboxes.set("ann", {"pub": str(tmp_path / "pub")})
    login = control.session(ANN)
    error = _refused(control, login, "server.createAPIToken", path="/etc")
    assert str(error) == "the path '/etc' is not in your sandbox; it must begin with one of 'pub'"
    made = control.call(login, "server.createAPIToken", path="pub/x")
    assert made["path"] == "/pub/x"


def test_lists_are_cut_to_pages_that_fit(control: Control) -> None:
    login = control.session(ANN)
    made = [_id(control.api_token("ann", description="\u00e4" * 4000)) for _ in range(40)]
    page = control.call(login, "server.getAPITokens")
    assert 0 < len(page) < 40
    assert len(json.dumps(page)) < 512 * 1024
    seen = [each["token"] for each in page]
    while page:
        page = control.call(login, "server.getAPITokens", after=page[-1])
        seen += [each["token"] for each in page]
    assert seen == made
    assert len(control.call(login, "server.getAPITokens", limit=3)) == 3
    assert [each["token"] for each in control.call(login, "server.getAPITokens", before=made[1])]


def test_user_data_is_shown(control: Control) -> None:
    token = control.shared_token("ann")
    with control.database.write() as connection:
        connection.execute(update(table).values(user_data={"colour": "red"}))
    found = control.call(control.session(ANN), "send.getSharedToken", token=token)
    assert found["userData"] == {"colour": "red"}


def test_events_have_no_secret(control: Control) -> None:
    for kind, whole in (
        ("send.deleteSharedToken", control.shared_token("ann", password="hunter2")),
        ("server.deleteAPIToken", control.api_token("ann", password="hunter2")),
    ):
        control.call(control.session(ANN), kind, token=whole)
        assert whole.partition(".")[2] not in repr(control.events.recorded)
    assert "hunter2" not in repr(control.events.recorded)
    assert [(name, owner) for name, _, owner, _ in control.events.recorded] == [
        ("tokenCreated", "ann"),
        ("tokenCreated", "ann"),
        ("tokenDeleted", "ann"),
        ("tokenDeleted", "ann"),
    ]


OTHERS = [
    ("send.getSharedToken", "shared", {}),
    ("send.updateSharedToken", "shared", {"description": "mine now"}),
    ("send.updateSharedToken", "shared", {"timeLimitSeconds": 1}),
    ("send.deleteSharedToken", "shared", {}),
    ("server.getAPIToken", "api", {}),
    ("server.deleteAPIToken", "api", {}),
    ("send.getSharedToken", "api", {}),
    ("send.deleteSharedToken", "api", {}),
    ("server.getAPIToken", "shared", {}),
    ("server.deleteAPIToken", "shared", {}),
]


@pytest.mark.parametrize(("command", "kind", "values"), OTHERS)
def test_tokens_of_others_are_as_if_they_were_not_there(
    command: str, kind: str, values: dict[str, Any], control: Control
) -> None:
    owner = control.session(ANN)
    whole = control.shared_token("ann") if kind == "shared" else control.api_token("ann")
    get = "send.getSharedToken" if kind == "shared" else "server.getAPIToken"
    before = control.call(owner, get, token=whole)
    bob = control.session(BOB)
    # Exactly what is said of one that never was.
    missing = "7" + _id(whole)[1:]
    absent = _refused(control, bob, command, token=missing, **values)
    assert absent.kind is ErrorKind.NOT_FOUND
    forms: list[Any] = [whole, _id(whole), {"token": whole}, before]
    for token in forms:
        found = _refused(control, bob, command, token=token, **values)
        assert found.kind is ErrorKind.NOT_FOUND
        assert str(found).replace(_id(whole), "") == str(absent).replace(missing, "")
        assert whole.partition(".")[2] not in str(found)
    assert control.call(owner, get, token=whole) == before
    assert control.call(bob, "send.getSharedTokens") == []
    assert control.call(bob, "server.getAPITokens") == []


def test_manifest_of_another_cannot_be_shared(control: Control) -> None:
    manifest = control.manifest("ann")
    found = _refused(control, control.session(BOB), "send.createSharedToken", manifestId=manifest)
    absent = _refused(control, control.session(BOB), "send.createSharedToken", manifestId="7")
    assert (found.kind, str(found).replace("'1'", "'7'")) == (absent.kind, str(absent))


def test_superuser_manages_the_tokens_of_all_and_makes_them_their_owners(
    control: Control,
) -> None:
    root = _root(control)
    made = control.call(root, "send.createSharedToken", manifestId=control.manifest("ann"))
    assert (made["owner"], made["ownerToken"]) == ("ann", None)
    assert control.call(control.session(ANN), "send.getSharedToken", token=made["token"])
    whole = control.api_token("bob")
    assert control.call(root, "server.getAPIToken", token=whole)["owner"] == "bob"
    control.call(root, "server.deleteAPIToken", token=whole)
    with pytest.raises(AuthenticationError):
        control.access.by_token(whole, None, peer="peer")


def test_user_without_being_raised_sees_the_own_tokens_alone(control: Control) -> None:
    control.api_token("ann")
    login = control.session(Principal("root", may_raise=True))
    assert control.call(login, "server.getAPITokens") == []


def _token_session(control: Control, **values: Any) -> Login:
    whole = control.api_token("ann", **values)
    return control.session(control.access.by_token(whole, None, peer="peer"))


def test_token_manages_what_it_made_alone(control: Control) -> None:
    others = control.shared_token("ann")
    login = _token_session(control)
    principal = login.principal
    assert principal is not None
    assert _refused(control, login, "send.getSharedToken", token=others).kind is (
        ErrorKind.NOT_FOUND
    )
    assert control.call(login, "send.getSharedTokens") == []
    assert control.call(login, "server.getAPITokens") == []
    _refused(control, login, "send.createSharedToken", manifestId=control.manifest("ann"))
    manifest = control.manifest("ann", token=principal.token)
    made = control.call(login, "send.createSharedToken", manifestId=manifest)
    assert made["ownerToken"] == principal.token
    assert made["ownerTokenSession"] == principal.token_session
    assert control.call(login, "send.getSharedToken", token=made["token"])
    assert control.call(control.session(ANN), "send.getSharedToken", token=made["token"])
    control.call(login, "send.deleteSharedToken", token=made["token"])


def test_token_does_no_more_than_it_permits(control: Control) -> None:
    login = _token_session(control, permissions=["upload", "download"])
    assert login.principal is not None
    manifest = control.manifest("ann", token=login.principal.token)
    for command, values, permission in (
        ("send.createSharedToken", {"manifestId": manifest}, "createLinks"),
        ("send.updateSharedToken", {"token": "1-000000000000"}, "createLinks"),
        ("send.deleteSharedToken", {"token": "1-000000000000"}, "delete"),
        ("server.deleteAPIToken", {"token": "1-000000000000"}, "delete"),
    ):
        error = _refused(control, login, command, **values)
        assert error.kind is ErrorKind.NOT_ALLOWED
        assert f"it lacks the permission '{permission}'" in str(error)


def test_token_makes_no_api_token(control: Control) -> None:
    error = _refused(control, _token_session(control), "server.createAPIToken")
    assert error.kind is ErrorKind.NOT_ALLOWED
    assert "logged on with a token may make no API tokens" in str(error)


def test_shared_token_has_no_part_in_tokens(control: Control) -> None:
    whole = control.shared_token("ann")
    login = control.session(control.access.by_token(whole, None, peer="peer"))
    for command in ("Shared", "API"):
        group = "send" if command == "Shared" else "server"
        for verb, values in (
            ("get", {"token": whole}),
            ("delete", {"token": whole}),
            ("create", {"manifestId": "1"}),
        ):
            error = _refused(control, login, f"{group}.{verb}{command}Token", **values)
            assert error.kind is ErrorKind.NOT_ALLOWED
        assert _refused(control, login, f"{group}.get{command}Tokens").kind is (
            ErrorKind.NOT_ALLOWED
        )


@pytest.mark.parametrize("token", [None, 7, [], {}, {"token": 7}, True])
def test_token_of_a_wrong_type(token: Any, control: Control) -> None:
    with pytest.raises(CommandError, match="'token'") as caught:
        control.call(control.session(ANN), "send.getSharedToken", token=token)
    assert caught.value.kind is ErrorKind.INVALID


@pytest.mark.parametrize(
    "token", ["", ".", "garbage", "1-0", "x" * 9999, "\ud800", "1-00000000000g"]
)
def test_token_that_is_none(token: str, control: Control) -> None:
    error = _refused(control, control.session(ANN), "send.getSharedToken", token=token)
    assert error.kind is ErrorKind.NOT_FOUND
    assert str(error) == "there is no shared token with that id"


def test_nobody_who_has_not_logged_on(control: Control) -> None:
    error = _refused(control, control.session(), "send.getSharedTokens")
    assert error.kind is ErrorKind.NOT_AUTHENTICATED
