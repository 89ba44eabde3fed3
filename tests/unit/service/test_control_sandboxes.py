import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferservice.control.commands import Login
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.identity.sandboxmapping import directories, parse_mapping
from dxlfiletransferservice.control.identity.sourceguard import Reserved, Sources, check_prefix
from dxlfiletransferservice.control.principals import Principal
from tests.unit.service.identities import Control, controlled

ANN = Principal("ann")


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    _make_home(tmp_path)
    with controlled(tmp_path) as made:
        yield made


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Control]:
    _make_home(tmp_path)
    with controlled(tmp_path, stored=True) as made:
        yield made


@pytest.fixture
def root(control: Control) -> Login:
    login = control.session(Principal("root", may_raise=True))
    control.call(login, "server.superuser")
    return login


def _make_home(directory: Path) -> None:
    (directory / "home" / "storage").mkdir(parents=True)
    (directory / "home" / "key").write_text("key")


def _refusal(call: Any, *arguments: Any) -> CommandError:
    with pytest.raises(CommandError) as caught:
        call(*arguments)
    return caught.value


@pytest.mark.parametrize(
    ("mapping", "targets"),
    [
        ({}, {}),
        ({"a": "/srv/a/"}, {"a": "/srv/a"}),
        ({"a": {"type": "File", "path": "//srv//a/./b"}}, {"a": "/srv/a/b"}),
        ({"a": {"path": "/srv/a"}}, {"a": "/srv/a"}),
        ({"": "/srv"}, {"": "/srv"}),
        ({"/": "/"}, {"": "/"}),
        ({"%u": "/srv/%u/100%%/x-%u"}, {"%u": "/srv/%u/100%%/x-%u"}),
        ({"A b\u00e4": "/srv"}, {"A b\u00e4": "/srv"}),
    ],
)
def test_mappings(mapping: dict[str, Any], targets: dict[str, str]) -> None:
    assert parse_mapping(mapping) == targets


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"a": {"type": "S3", "bucketName": "b"}}, "has the type 'S3': only 'File' is possible"),
        ({"a": {"type": ["File"], "path": "/"}}, "only 'File' is possible"),
        ({"a": {"path": "/a", "scheme": "x"}}, "the unknown field 'scheme'"),
        ({"a": {"type": "File"}}, "must be the path of a directory"),
        ({"a": None}, "must be the path of a directory"),
        ({"a": 7}, "must be the path of a directory"),
        ({"a": "srv"}, "it must be absolute, without '..'"),
        ({"a": ""}, "it must be absolute"),
        ({"a": "/a/../b"}, "without '..'"),
        ({"a": "/a\0"}, "it must be absolute"),
        ({"a": "/\ud800"}, "it must be absolute"),
        ({"a": "/%d"}, "has the placeholder '%d'; there are '%u' for the user"),
        ({"a": "/%f"}, "the placeholder '%f'"),
        ({"a": "/a%"}, "the placeholder '%'"),
        ({"a": "/%%%x"}, "the placeholder '%x'"),
        ({"a/b": "/a"}, "'a/b' cannot be a name in a sandbox"),
        ({"..": "/a"}, "'..' cannot be a name in a sandbox"),
        ({".": "/a"}, "'.' cannot be a name"),
        ({"a\n": "/a"}, "cannot be a name"),
        ({"\ud800": "/a"}, "cannot be a name"),
        ({"x" * 300: "/a"}, "cannot be a name"),
        ({"": "/a", "b": "/b"}, "must have no other names"),
        ({"": "/a", "/": "/b"}, "must have no other names"),
        ({str(n): "/a" for n in range(300)}, "at most 256 names"),
        ({str(n): "/" + "a" * 900 for n in range(200)}, "at most 65536 bytes"),
    ],
)
def test_mappings_that_cannot_be(mapping: dict[str, Any], text: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse_mapping(mapping)
    assert text in str(caught.value)


def test_placeholders() -> None:
    targets = {"a": "/srv/%u/%%u/x-%u%%"}
    assert directories(targets, "ann") == {"a": "/srv/ann/%u/x-ann%"}
    assert directories({"a": "/srv"}, None) == {"a": "/srv"}
    with pytest.raises(AuthenticationError, match="log on first"):
        directories(targets, None)
    for name in ("..", "a/b", "", "DOMAIN\\ann"):
        with pytest.raises(CommandError, match="cannot be a part of the path"):
            directories(targets, name)


def test_own_sandbox_comes_before_that_of_everybody(control: Control) -> None:
    assert control.sandboxes.places(ANN) is None
    assert control.sandboxes.places(None) is None
    control.sandboxes.set("", {"": "/srv/all"})
    control.sandboxes.set("bob", {"x": "/srv/%u"})
    assert control.sandboxes.places(ANN) == {"": Path("/srv/all")}
    assert control.sandboxes.places(None) == {"": Path("/srv/all")}
    assert control.sandboxes.places(Principal("bob")) == {"x": Path("/srv/bob")}
    control.sandboxes.set("bob", {})
    assert control.sandboxes.places(Principal("bob")) == {"": Path("/srv/all")}
    control.sandboxes.set("", {})
    assert control.sandboxes.places(Principal("bob")) is None


def test_nobody_has_no_place_in_a_sandbox_by_user(control: Control) -> None:
    control.sandboxes.set("", {"": "/srv/%u"})
    with pytest.raises(AuthenticationError, match="log on first"):
        control.sandboxes.places(None)


def test_only_users_have_sandboxes_and_they_outlive_them(control: Control) -> None:
    error = _refusal(control.sandboxes.set, "nobody", {"": "/srv"})
    assert (error.kind, str(error)) == (ErrorKind.NOT_FOUND, "there is no user 'nobody'")
    control.sandboxes.set("bob", {"": "/srv/bob"})
    control.users.remove("bob")
    assert control.sandboxes.places(Principal("bob")) == {"": Path("/srv/bob")}
    control.sandboxes.set("bob", {"": "/srv/other"})
    assert control.sandboxes.places(Principal("bob")) == {"": Path("/srv/other")}
    control.sandboxes.set("bob", {})
    assert control.sandboxes.page() == {}


@pytest.mark.parametrize("inside", ["", "key", "state/deep"])
def test_nothing_is_stored_among_the_files_of_the_server(
    inside: str, control: Control, tmp_path: Path
) -> None:
    where = tmp_path / "home" / inside
    error = _refusal(control.sandboxes.set, "ann", {"x": str(where)})
    assert str(error) == "the path of 'x' belongs to the server itself: choose another one"
    link = tmp_path / "link"
    link.symlink_to(where)
    _refusal(control.sandboxes.set, "ann", {"x": str(link)})
    # A directory around them can be read, but for them, and not be written to.
    control.sandboxes.set("ann", {"x": str(tmp_path)})
    error = _refusal(control.sandboxes.places, ANN)
    assert error.kind is ErrorKind.NOT_ALLOWED
    assert "the directory 'x' of the sandbox has files of the server" in str(error)
    assert str(tmp_path) not in str(error)


def test_storage_in_the_home_is_a_place(control: Control, tmp_path: Path) -> None:
    storage = tmp_path / "home" / "storage"
    control.sandboxes.set("ann", {"": str(storage / "x")})
    assert control.sandboxes.places(ANN) == {"": storage / "x"}


def test_sources_without_a_sandbox(control: Control, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    for path in (f"{tmp_path}/a", "/", "/nowhere/at all", f"{tmp_path}/b/../a"):
        assert control.sandboxes.source(ANN, path) == path
    for path in ("a", "./a", "~/a"):
        with pytest.raises(CommandError, match="must be absolute"):
            control.sandboxes.source(ANN, path)


@pytest.mark.parametrize("path", ["", "a\0b", "/" + "x" * 5000, "/\ud800"])
def test_paths_that_cannot_be(path: str, control: Control) -> None:
    with pytest.raises(CommandError, match=r"a path must have 1 to|cannot be the name of a file"):
        control.sandboxes.source(ANN, path)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/pub", "pub"),
        ("pub/", "pub"),
        ("/pub/a/b", "pub/a/b"),
        ("//pub//./a", "pub/a"),
        ("pub/...", "pub/..."),
        ("/in/x", "inbox/x"),
    ],
)
def test_sources_in_a_sandbox(path: str, found: str, control: Control, tmp_path: Path) -> None:
    control.sandboxes.set("ann", {"pub": f"{tmp_path}/pub", "in": f"{tmp_path}/inbox"})
    assert control.sandboxes.source(ANN, path) == f"{tmp_path}/{found}"
    assert control.sandboxes.source(Principal("bob"), f"{tmp_path}/x") == f"{tmp_path}/x"


@pytest.mark.parametrize("path", ["/", "/etc/passwd", "x", "/pu", "/public", "/.", "/PUB/a"])
def test_sources_that_are_not_in_the_sandbox(path: str, control: Control, tmp_path: Path) -> None:
    control.sandboxes.set("ann", {"pub": f"{tmp_path}/pub", "in": f"{tmp_path}/inbox"})
    error = _refusal(control.sandboxes.source, ANN, path)
    assert error.kind is ErrorKind.NOT_ALLOWED
    assert str(error) == (
        f"the path {path!r} is not in your sandbox; it must begin with one of 'in', 'pub'"
    )


@pytest.mark.parametrize("path", ["/pub/..", "/pub/../x", "../pub", "/..", "/pub/a/../../.."])
def test_no_way_up_out_of_a_sandbox(path: str, control: Control, tmp_path: Path) -> None:
    for mapping in ({"pub": f"{tmp_path}/pub"}, {"": f"{tmp_path}/pub"}):
        control.sandboxes.set("ann", mapping)
        with pytest.raises(CommandError, match=r"has '\.\.' in it, which is not possible"):
            control.sandboxes.source(ANN, path)


def test_root_of_a_sandbox(control: Control, tmp_path: Path) -> None:
    control.sandboxes.set("ann", {"": f"{tmp_path}/%u"})
    assert control.sandboxes.source(ANN, "/a/b") == f"{tmp_path}/ann/a/b"
    assert control.sandboxes.source(ANN, "/") == f"{tmp_path}/ann"


@given(st.text(alphabet=st.sampled_from("./a-b\\~%\u00e4"), min_size=1, max_size=30))
def test_nothing_that_is_named_lies_outside(path: str) -> None:
    sources = Sources({"": "/nowhere/box"}, "/in/ner", Reserved())
    try:
        found = sources.locate(path)
    except CommandError:
        assert ".." in path
    else:
        assert (os.path.normpath(found) + "/").startswith("/nowhere/box/in/ner/")


def test_sources_of_a_token(control: Control, tmp_path: Path) -> None:
    token = Principal("ann", token="1-00", path=f"{tmp_path}/box")
    assert control.sandboxes.source(token, "/x") == f"{tmp_path}/box/x"
    assert control.sandboxes.source(token, "x") == f"{tmp_path}/box/x"
    control.sandboxes.set("ann", {"pub": f"{tmp_path}/pub"})
    token = Principal("ann", token="1-00", path="/pub/box")
    assert control.sandboxes.source(token, "/x") == f"{tmp_path}/pub/box/x"
    gone = Principal("ann", token="1-00", path="/other/box")
    error = _refusal(control.sandboxes.source, gone, "/x")
    assert str(error) == "the path '/x' is not in your sandbox"


def test_guard_without_a_sandbox(control: Control, tmp_path: Path) -> None:
    home = tmp_path / "home"
    guard = control.sandboxes.guard(ANN)
    (tmp_path / "a").write_text("a")
    (home / "storage" / "b").write_text("b")
    for path in (tmp_path / "a", home / "storage" / "b", home / "storage", Path("/etc/passwd")):
        guard.check(str(path))
    (tmp_path / "link").symlink_to(home / "key")
    (home / "storage" / "link").symlink_to(home / "key")
    (tmp_path / "way").symlink_to(home)
    for path in (
        home,
        home / "key",
        home / "storage" / ".." / "key",
        tmp_path / "link",
        home / "storage" / "link",
        tmp_path / "way" / "key",
        Path("/proc/self/mem"),
        Path(f"/proc/{os.getpid()}/environ"),
    ):
        error = _refusal(guard.check, str(path))
        assert error.kind is ErrorKind.NOT_ALLOWED
        assert str(error).endswith(" may not be read: it belongs to the server itself")
    with (home / "key").open() as file:
        _refusal(guard.check, f"/proc/self/fd/{file.fileno()}")


def test_unfinished_files_of_stores_are_nobodys(control: Control, tmp_path: Path) -> None:
    working = tmp_path / "home" / "storage" / ".workdir"
    working.mkdir()
    (working / ".lock").touch()
    guard = control.sandboxes.guard(ANN)
    error = _refusal(guard.check, str(working / "file.part"))
    assert error.kind is ErrorKind.NOT_ALLOWED
    assert "unfinished file of a store" in str(error)


def test_what_is_deepest_counts(tmp_path: Path) -> None:
    home = tmp_path / "home"
    reserved = Reserved([home, home / "storage" / ".working"], [home / "storage"])
    assert reserved.has(str(home / "key"))
    assert not reserved.has(str(home / "storage" / "a"))
    assert reserved.has(str(home / "storage" / ".working" / "a"))
    assert not reserved.has(f"{home}2")
    assert reserved.touches(str(tmp_path))
    assert reserved.touches(str(home / "storage"))
    assert not reserved.touches(str(home / "storage" / "a"))
    assert reserved.touches("/")


def test_guard_of_a_sandbox(control: Control, tmp_path: Path) -> None:
    pub, other, home = (tmp_path / name for name in ("pub", "other", "home"))
    for directory in (pub, other):
        directory.mkdir()
        (directory / "file").write_text("x")
    control.sandboxes.set("ann", {"pub": str(pub), "all": str(tmp_path / "real")})
    (pub / "inside").symlink_to("file")
    (pub / "out").symlink_to(other / "file")
    (pub / "outside").symlink_to("../other")
    (pub / "key").symlink_to(home / "key")
    guard = control.sandboxes.guard(ANN)
    for name in ("file", "inside", "missing"):
        guard.check(str(pub / name))
    for name in ("out", "outside/file", "key", "../other/file"):
        error = _refusal(guard.check, str(pub / name))
        assert error.kind is ErrorKind.NOT_ALLOWED
        assert "other" not in str(error) or name.startswith("..")
        assert str(tmp_path) not in str(error)
    assert str(_refusal(guard.check, str(pub / "out"))) == (
        "'/pub/out' may not be read: it leads out of where you are confined to"
    )
    assert str(_refusal(guard.check, str(other / "file"))).startswith("a file may not be read")
    # Naming it is refused as well.
    _refusal(control.sandboxes.source, ANN, "/pub/out")


def test_sandbox_whose_directory_is_a_link(control: Control, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("x")
    (tmp_path / "pub").symlink_to("real")
    control.sandboxes.set("ann", {"": str(tmp_path / "pub")})
    control.sandboxes.guard(ANN).check(str(tmp_path / "pub" / "file"))


def test_sandbox_around_the_home_does_not_open_it(control: Control, tmp_path: Path) -> None:
    control.sandboxes.set("ann", {"": str(tmp_path)})
    guard = control.sandboxes.guard(ANN)
    guard.check(str(tmp_path / "x"))
    error = _refusal(guard.check, str(tmp_path / "home" / "key"))
    assert str(error) == "'/home/key' may not be read: it belongs to the server itself"


@pytest.mark.parametrize("confined", [False, True])
def test_guard_of_a_token(confined: bool, control: Control, tmp_path: Path) -> None:
    pub, box = tmp_path / "pub", tmp_path / "pub" / "box"
    box.mkdir(parents=True)
    (pub / "file").write_text("x")
    (tmp_path / "file").write_text("x")
    (box / "file").write_text("x")
    (box / "up").symlink_to("../file")
    (pub / "away").symlink_to("..")
    path = str(box)
    if confined:
        control.sandboxes.set("ann", {"pub": str(pub)})
        path = "/pub/box"
    whole = control.api_token("ann", path=path)
    principal = control.access.by_token(whole, None, peer="peer")
    for guard in (
        control.sandboxes.guard(principal),
        control.sandboxes.guard_for("ann", principal.token),
    ):
        guard.check(str(box / "file"))
        assert str(_refusal(guard.check, str(box / "up"))).startswith("'/up' may not be read")
        _refusal(guard.check, str(pub / "file"))
    control.sandboxes.guard_for("ann", None).check(str(pub / "file"))
    if confined:
        # The directory of the token leads out of its user's sandbox.
        away = Sources({"pub": str(pub)}, "/pub/away", Reserved())
        _refusal(away.check, str(tmp_path / "file"))
        away.check(str(pub / "file"))


def test_guard_of_a_shared_token_is_that_of_its_maker(control: Control, tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.mkdir()
    (tmp_path / "file").write_text("x")
    maker = control.access.by_token(control.api_token("ann", path=str(box)), None, peer="peer")
    made = control.call(
        control.session(maker),
        "send.createSharedToken",
        manifestId=control.manifest("ann", token=maker.token),
    )
    principal = control.access.by_token(made["token"], None, peer="peer")
    for guard in (
        control.sandboxes.guard(principal),
        control.sandboxes.guard_for("ann", principal.token),
    ):
        guard.check(str(box / "file"))
        _refusal(guard.check, str(tmp_path / "file"))
    by_password = control.access.by_token(control.shared_token("ann"), None, peer="peer")
    control.sandboxes.guard(by_password).check(str(tmp_path / "file"))


def test_changed_sandbox_holds_at_once_for_new_names(stored: Control, tmp_path: Path) -> None:
    assert stored.sandboxes.source(ANN, f"{tmp_path}/a") == f"{tmp_path}/a"
    stored.sandboxes.set("ann", {"": f"{tmp_path}/box"})
    assert stored.sandboxes.source(ANN, "/a") == f"{tmp_path}/box/a"
    # Another process may have changed it as well.
    other = Database(f"sqlite:///{tmp_path}/server.db")
    Control(other, tmp_path / "home").sandboxes.set("ann", {"": f"{tmp_path}/other"})
    other.close()
    stored.clock.advance(1)
    assert stored.sandboxes.source(ANN, "/a") == f"{tmp_path}/other/a"


def test_check_prefix() -> None:
    assert check_prefix("/") == "/"
    assert check_prefix("a//b/.") == "/a/b"
    with pytest.raises(CommandError, match=r"'\.\.'"):
        check_prefix("a/..")


def test_commands(control: Control, root: Login) -> None:
    mapping = {"home": "/srv/%u", "pub": {"type": "File", "path": "/srv/pub"}}
    call = control.call
    assert call(root, "server.setSandboxMapping", userName="ann", mapping=mapping) is None
    call(root, "server.setSandboxMapping", userName="", mapping={"": "/srv/all"})
    found = call(root, "server.getSandboxMappings")
    assert list(found) == ["", "ann"]
    assert found["ann"]["home"] == {"type": "File", "path": "/srv/%u"}
    # What is told can be given back.
    call(root, "server.setSandboxMapping", userName="ann", mapping=found["ann"])
    assert call(root, "server.getSandboxMappings") == found
    assert call(root, "server.getSandboxMappings", after="") == {"ann": found["ann"]}
    assert list(call(root, "server.getSandboxMappings", limit=1)) == [""]
    call(root, "server.setSandboxMapping", userName="ann", mapping={})
    assert list(call(root, "server.getSandboxMappings")) == [""]
    for values in ({"userName": "ann"}, {"userName": "ann", "mapping": "/srv"}, {"userName": 7}):
        with pytest.raises(CommandError) as caught:
            call(root, "server.setSandboxMapping", **values)
        assert caught.value.kind is ErrorKind.INVALID


def test_large_sandboxes_come_in_pages(control: Control, root: Login) -> None:
    large = {str(number): "/srv/" + "a" * 550 for number in range(100)}
    names = [f"user{number}" for number in range(10)]
    for name in names:
        control.users.add(name, "x")
        control.sandboxes.set(name, large)
    seen: list[str] = []
    while page := control.call(
        root, "server.getSandboxMappings", **({"after": seen[-1]} if seen else {})
    ):
        assert len(json.dumps(page)) < 512 * 1024
        seen += page
    assert seen == names
