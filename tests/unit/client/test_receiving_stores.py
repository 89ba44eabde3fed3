"""Instances with a store each: what is not in the one is looked for in the others."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.testing import MemoryStore, MemoryStoreOptions
from tests.unit.client.receiving import SEGMENT, Stage, content_of, files_in, put

if TYPE_CHECKING:
    from dxlfiletransferclient.progress import Progress

LARGE = content_of(5 * SEGMENT, 1)
SMALL = b"small"


class Separate(Stage):
    """Three services on one topic, each with a store of its own."""

    def __init__(self, **more: frozenset[Verb]) -> None:
        verbs = more.get("memory", frozenset(Verb))
        super().__init__(segment_size=SEGMENT * 4, verbs=verbs)
        sizes = {"second": SEGMENT, "third": 2 * SEGMENT}
        self.stores = {"memory": self.store}
        for name, size in sizes.items():
            store = MemoryStore(MemoryStoreOptions(store_id=name, segment_size=size))
            self.stores[name] = store
            self.bus.serve(store, verbs=more.get(name, frozenset(Verb)))

    def asked(self, verb: Verb) -> int:
        return self.bus.log.of(verb).requests


@pytest.fixture
def stage() -> Separate:
    return Separate()


@pytest.mark.parametrize("where", ["memory", "second", "third"])
def test_a_name_is_found_wherever_it_is(stage: Separate, tmp_path: Path, where: str) -> None:
    put(stage.stores[where], {"d/large": LARGE, "d/small": SMALL})
    assert stage.receiver().stat("d/large", digest=True).entry.size == len(LARGE)
    listed = [entry.name for entry in stage.receiver().list("d")]
    assert listed == ["d/large", "d/small"]
    report = stage.get(["d/large", "d/small"], tmp_path, segment_size=None)
    report.raise_for_failure()
    assert files_in(tmp_path) == {"large": LARGE, "small": SMALL}
    assert stage.receiver().remove("d", recursive=True) == 3
    with pytest.raises(RefusedError, match="'d") as caught:
        stage.receiver().stat("d")
    assert caught.value.means(ErrorCode.NOT_FOUND)


def test_one_call_gets_from_several_stores(stage: Separate, tmp_path: Path) -> None:
    put(stage.stores["memory"], {"a": LARGE, "both": b"of the first"})
    put(stage.stores["second"], {"tree/b": content_of(2 * SEGMENT + 1), "tree/c": SMALL})
    put(stage.stores["third"], {"d": SMALL})
    told: list[Progress] = []
    report = stage.get(
        ["a", "tree", "d", "nowhere"], tmp_path, segment_size=None, progress=told.append
    )
    assert files_in(tmp_path) == {
        "a": LARGE,
        "tree/b": content_of(2 * SEGMENT + 1),
        "tree/c": SMALL,
        "d": SMALL,
    }
    assert Counter(outcome.result for outcome in report.outcomes) == {
        Result.STORED: 4,
        Result.FAILED: 1,
    }
    (failed,) = (outcome for outcome in report.outcomes if outcome.error)
    assert failed.name == "nowhere"
    assert isinstance(failed.error, RefusedError)
    assert failed.error.means(ErrorCode.NOT_FOUND)
    assert (told[-1].files_done, told[-1].files_total) == (5, 5)


def test_the_others_are_asked_only_for_what_is_missing(stage: Separate, tmp_path: Path) -> None:
    files = {str(number): SMALL for number in range(20)}
    for store in stage.stores.values():
        put(store, files)
    stage.get(list(files), tmp_path).raise_for_failure()
    assert stage.asked(Verb.STAT) == 20
    stage.receiver().stat("1")
    assert stage.asked(Verb.STAT) == 21
    assert list(stage.receiver().list("")) != []
    assert stage.asked(Verb.LIST) == 1
    with pytest.raises(RefusedError):
        stage.receiver().stat("nowhere")
    assert stage.asked(Verb.STAT) == 21 + 3


def test_instances_with_one_store_are_not_asked_one_after_the_other() -> None:
    stage = Stage()
    stage.bus.serve(stage.store)
    with pytest.raises(RefusedError):
        stage.receiver().stat("nowhere")
    with pytest.raises(RefusedError):
        list(stage.receiver().list("nowhere"))
    assert stage.bus.log.of(Verb.STAT).requests == 1
    assert stage.bus.log.of(Verb.LIST).requests == 1


def test_an_instance_that_does_not_offer_it_is_passed_over() -> None:
    offered = frozenset(Verb) - {Verb.REMOVE}
    stage = Separate(second=offered, third=offered)
    names = [str(number) for number in range(20)]
    put(stage.stores["second"], dict.fromkeys(names, SMALL))
    codes = set()
    for name in names:  # the choice depends on the name
        with pytest.raises(RefusedError) as caught:
            stage.receiver().remove(name)
        codes.add(ErrorCode.of(caught.value.code))
    assert codes == {ErrorCode.NOT_ALLOWED, ErrorCode.NOT_FOUND}
    assert stage.asked(Verb.REMOVE) == 0


def test_another_error_than_that_there_is_nothing_is_told(stage: Separate) -> None:
    for service in stage.bus.services:
        service.refuse(Verb.STAT, RefusedError(ErrorCode.STORAGE_FAILED, "the disk is broken"))
    with pytest.raises(RefusedError, match="the disk is broken"):
        stage.receiver().stat("a")
    assert stage.asked(Verb.STAT) == 1


def test_what_is_removed_is_not_taken_for_removed_in_another_store(stage: Separate) -> None:
    """The one that has it is lost between the look and the removal, and another takes over."""
    put(stage.stores["second"], {"a": SMALL})
    (service,) = (each for each in stage.bus.services if each.store is stage.stores["second"])
    stage.bus.when(Verb.REMOVE, service.crash)
    with pytest.raises(RefusedError) as caught:
        stage.receiver().remove("a")
    assert caught.value.means(ErrorCode.NOT_FOUND)


@pytest.mark.parametrize("where", ["memory", "second", "third"])
def test_what_cannot_be_looked_at_is_removed_wherever_it_is(where: str) -> None:
    offered = frozenset(Verb) - {Verb.STAT}
    stage = Separate(memory=offered, second=offered, third=offered)
    put(stage.stores[where], {"a/b": SMALL})
    assert stage.receiver().remove("a", recursive=True) == 2
    assert stage.stores[where].stored == {}
    with pytest.raises(RefusedError) as caught:
        stage.receiver().remove("a")
    assert caught.value.means(ErrorCode.NOT_FOUND)
