import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.errors import UnsafeNameError
from dxlfiletransferclient.storage.links import check_target, leads_below_root


@pytest.mark.parametrize(
    ("parts", "target", "reached"),
    [
        (("l",), "a", ("a",)),
        (("l",), "a/b/./c//", ("a", "b", "c")),
        (("l",), ".", ()),
        (("d", "l"), "..", ()),
        (("d", "l"), "../a", ("a",)),
        (("d", "e", "l"), "../../a/b", ("a", "b")),
        (("d", "l"), "./../a", ("a",)),
        (("d", "l"), "l", ("d", "l")),
    ],
)
def test_links_that_stay_below_the_root(
    parts: tuple[str, ...], target: str, reached: tuple[str, ...]
) -> None:
    assert check_target(parts, target) == reached


@pytest.mark.parametrize(
    ("parts", "target", "reason"),
    [
        (("l",), "..", "leads out"),
        (("l",), "../a", "leads out"),
        (("d", "l"), "../../storage", "leads out"),
        (("d", "l"), "../../../a", "leads out"),
        (("l",), "/etc/passwd", "absolute"),
        (("l",), "C:/a", "absolute"),
        (("l",), "x" * 5000, "over-long"),
        (("l",), "x" * 300, "255 bytes"),
        (("l",), "a\0b", "NUL"),
        (("l",), "a\ud800", "UTF-8"),
        (("d", "l"), "a/../b", "'..' behind"),
        (("d", "l"), "../a/../../b", "'..' behind"),
        (("l",), ".work/x", "working directory"),
        (("d", "l"), "../.work", "working directory"),
    ],
)
def test_links_that_are_refused(parts: tuple[str, ...], target: str, reason: str) -> None:
    with pytest.raises(UnsafeNameError, match=reason):
        check_target(parts, target, reserved=[(".work",)])
    assert not leads_below_root(parts, target, reserved=[(".work",)])


@pytest.mark.parametrize("target", ["\\a", "..\\..\\a", "a\\..\\..\\b", "nul", "a:b"])
def test_windows_has_further_ways_out(target: str) -> None:
    assert not leads_below_root(("d", "l"), target, windows=True)


pieces = st.sampled_from(["..", ".", "", "a", "b", "c"])
places = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(tuple)
targets = st.lists(pieces, min_size=1, max_size=7).map("/".join)


@given(st.lists(st.tuples(places, targets), max_size=8))
def test_no_links_together_lead_out(wanted: list[tuple[tuple[str, ...], str]]) -> None:
    """Each link is harmless by itself; what they make of each other must be so as well."""
    with TemporaryDirectory() as directory:
        root = Path(directory, "x", "y", "root").resolve()
        root.mkdir(parents=True)
        for parts, target in wanted:
            place = root.joinpath(*parts)
            if not target or not leads_below_root(parts, target):
                continue
            # As the store does: never through a link, and over nothing that exists.
            if any(parent.is_symlink() or parent.is_file() for parent in place.parents):
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(place):
                place.symlink_to(target)
        for found in root.rglob("*"):
            try:
                real = Path(os.path.realpath(found, strict=True))
            except OSError:
                # It leads in a circle, or nowhere.
                continue
            assert real == root or real.is_relative_to(root)
