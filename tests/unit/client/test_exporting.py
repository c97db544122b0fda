"""What the client makes of an export: whole, in order, of one revision, or an error."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.protobuf.message import Message

from namestore import errors
from namestore.client.network import NoAnswer, Silence
from namestore.v1 import registry_pb2 as registry
from tests.unit.client.fake_network import Scene


@pytest.fixture(params=("blocking", "asyncio"))
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param)


def page(*names: str, revision: int = 7, count: int | None = None) -> registry.ExportResponse:
    records = [registry.NameRecord(name=name) for name in names]
    return registry.ExportResponse(revision=revision, records=records, name_count=count)


def exported(scene: Scene, *args: Any, **kwargs: Any) -> tuple[int, list[str]]:
    """The revision of an export, and the names of it, taken to its end."""
    if scene.flavour == "blocking":
        with scene.store.export(*args, **kwargs) as export:
            return export.revision, [record.name for record in export]

    async def take() -> tuple[int, list[str]]:
        async with await scene.store.export(*args, **kwargs) as export:
            return export.revision, [record.name async for record in export]

    return asyncio.run(take())


def test_an_export_is_all_its_pages(scene: Scene) -> None:
    """In order, with the revision that each of them says; empty ones among them do no harm."""
    scene.nodes["a:1"].script = [page("user:a", "user:b"), page(), page("user:c", count=3)]
    assert exported(scene, "user:") == (7, ["user:a", "user:b", "user:c"])
    (sent,) = scene.network.of("Export")
    assert (sent.endpoint, sent.request.prefix) == ("a:1", "user:")


def test_an_export_of_nothing(scene: Scene) -> None:
    """One page, which is the last."""
    scene.nodes["a:1"].script = [page(count=0)]
    assert exported(scene) == (7, [])


def test_exports_spread_although_the_leader_is_known(scene: Scene) -> None:
    """Any node can show a picture, and the leader has enough to do."""
    scene.register("user:a")
    drawn: list[list[str]] = []

    def last(choices: list[str]) -> str:
        drawn.append(choices)
        return choices[-1]

    scene.endpoints._random.choice = last  # type: ignore[method-assign, assignment]
    scene.nodes["c:1"].script = [page(count=0)]
    exported(scene)
    assert drawn == [["a:1", "b:1", "c:1"]]
    assert [sent.endpoint for sent in scene.network.of("Export")] == ["c:1"]


def test_it_begins_at_another_node_if_need_be(scene: Scene) -> None:
    """Nothing was taken yet, so nobody need know: as any other read."""
    scene.nodes["a:1"].script = [errors.ShuttingDown("stops")]
    scene.nodes["b:1"].script = [NoAnswer("b:1", Silence.LOST, "broke")]
    scene.nodes["c:1"].script = [page("user:a", count=1)]
    assert exported(scene) == (7, ["user:a"])
    assert [sent.endpoint for sent in scene.network.of("Export")] == ["a:1", "b:1", "c:1"]


def test_a_stream_that_ends_before_it_began_is_tried_elsewhere(scene: Scene) -> None:
    """What sends no first page is no export."""
    scene.nodes["b:1"].script = [page(count=0)]
    assert exported(scene) == (7, [])
    assert [sent.endpoint for sent in scene.network.of("Export")] == ["a:1", "b:1"]


def test_what_cannot_be_helped_is_not_tried_again(scene: Scene) -> None:
    """A bad prefix is bad everywhere."""
    scene.nodes["a:1"].script = [errors.InvalidRequest("longer than any name", field="prefix")]
    with pytest.raises(errors.InvalidRequest):
        exported(scene)
    assert len(scene.network.of("Export")) == 1


def test_one_that_never_begins_is_unavailable(scene: Scene) -> None:
    """Within the time that was given."""
    for node in scene.nodes.values():
        node.script = [errors.NoQuorum("no majority")]
    with pytest.raises(errors.NoQuorum):
        exported(scene, timeout=3)
    assert len(scene.network.of("Export")) > 3


@pytest.mark.parametrize(
    ("failure", "kind"),
    (
        (NoAnswer("a:1", Silence.LOST, "broke"), errors.Unavailable),
        (errors.ShuttingDown("stops"), errors.ShuttingDown),
        (errors.Overloaded("was ended"), errors.Overloaded),
    ),
)
def test_one_that_breaks_off_says_so(
    scene: Scene, failure: Exception, kind: type[errors.NamestoreError]
) -> None:
    """It cannot go on elsewhere, where that revision may be gone: its user begins anew."""
    scene.nodes["a:1"].script = [page("user:a"), failure]  # type: ignore[list-item]
    with pytest.raises(kind):
        exported(scene)
    assert len(scene.network.of("Export")) == 1


def test_after_one_that_broke_the_next_begins_elsewhere(scene: Scene) -> None:
    """The node it broke at is avoided for a while."""
    scene.nodes["a:1"].script = [page("user:a"), NoAnswer("a:1", Silence.LOST, "broke")]
    scene.nodes["b:1"].script = [page("user:a", count=1)]
    with pytest.raises(errors.Unavailable, match="begin another"):
        exported(scene)
    assert exported(scene) == (7, ["user:a"])


def test_a_part_does_not_pass_for_the_whole(scene: Scene) -> None:
    """A stream that ends well, but without its last page, is no export."""
    scene.nodes["a:1"].script = [page("user:a")]
    with pytest.raises(errors.Unavailable, match="before its last page"):
        exported(scene)


@pytest.mark.parametrize(
    "pages",
    (
        (page("user:a"), page("user:b", revision=8, count=2)),
        (page("user:b"), page("user:a", count=2)),
        (page("user:a", "user:a", count=2),),
        (page("user:a"), page("user:b", count=3)),
        (page("user:a", count=1), page("user:b", count=1)),
    ),
    ids=("two revisions", "disorder", "twice", "one missing", "more behind the last"),
)
def test_what_is_no_picture_is_refused(
    scene: Scene, pages: tuple[registry.ExportResponse, ...]
) -> None:
    """Rather an error than a list that nobody can rely on."""
    scene.nodes["a:1"].script = list(pages)
    with pytest.raises(errors.InvariantViolation):
        exported(scene)


def test_a_node_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that does not come within a minute ends the export; the stream is cancelled."""
    monkeypatch.setattr("namestore.client.exporting._PAGE_SECONDS", 0.01)
    silent = _Silent(page("user:a"))
    scene = Scene("blocking", nodes=1)
    monkeypatch.setattr(scene.network, "stream", silent.stream)
    with pytest.raises(errors.Unavailable, match="sent nothing for"):
        exported(scene)
    assert silent.cancelled.is_set()


class _Silent:
    """A stream that says one thing, and then nothing until it is cancelled."""

    def __init__(self, first: registry.ExportResponse) -> None:
        self.cancelled = threading.Event()
        self._first = first

    def stream(self, endpoint: str, *_: object) -> tuple[Iterator[Message], Callable[[], None]]:
        def messages() -> Iterator[Message]:
            yield self._first
            assert self.cancelled.wait(30)
            raise NoAnswer(endpoint, Silence.LOST, "the call was given up")

        return messages(), self.cancelled.set
