"""The guide on following changes does what it says: its code, taken from the page and run."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from namestore import NameStore, embedded
from namestore.core.commands import KeepEvents, encode_command
from tests.support.eventually import eventually

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "following-changes.md"
WAIT = 60.0


@pytest.fixture
def guide() -> dict[str, Any]:
    """What the page defines."""
    defined: dict[str, Any] = {}
    for code in re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(code, str(GUIDE), "exec"), defined)  # noqa: S102  # that is the point
    return defined


@pytest.fixture
def names(tmp_path: Path) -> Iterator[NameStore]:
    with embedded.open(tmp_path / "registry", timeout=WAIT) as opened:
        yield opened


class Keeper:
    """The guide's loop in a thread, with its index in a file."""

    def __init__(self, guide: dict[str, Any], names: NameStore, path: Path) -> None:
        self.feeds: list[Any] = []
        self._guide, self._names, self._path = guide, names, path
        self._workers = ThreadPoolExecutor(1)
        self._running = self._workers.submit(self._keep)

    def _keep(self) -> None:
        # SQLite's connections belong to the thread that made them.
        self._guide["keep"](self._names, self._guide["Index"](self._path), self.feeds)

    def stop(self) -> None:
        self.feeds[-1].close()
        self._running.result(WAIT)
        self._workers.shutdown()


def held(guide: dict[str, Any], path: Path) -> tuple[dict[str, str], int]:
    index = guide["Index"](path)
    try:
        rows = index.database.execute("SELECT name, owner FROM held").fetchall()
        return dict(rows), index.revision() or 0
    finally:
        index.database.close()


def registry(names: NameStore) -> dict[str, str]:
    return {record.name: record.owner for record in names.list("user:")}


def test_the_index_equals_the_registry(
    guide: dict[str, Any], names: NameStore, tmp_path: Path
) -> None:
    """From a picture on, through every kind of change, stopped in between and begun again."""
    path = tmp_path / "index.sqlite"
    names.register("user:before", "ann")
    keeper = Keeper(guide, names, path)
    eventually(lambda: keeper.feeds, "it follows")
    names.register("user:a", "ann")
    names.update("user:a", "ann", new_owner="bob")
    names.rename("user:a", "user:b", "bob")
    names.register("user:c", "ann")
    last = names.release("user:c", "ann")
    eventually(lambda: held(guide, path)[1] == last, "it has seen all")
    assert held(guide, path)[0] == registry(names) == {"user:before": "ann", "user:b": "bob"}
    keeper.stop()

    names.register("user:meanwhile", "ann")
    last = names.release("user:before", "ann")
    keeper = Keeper(guide, names, path)
    eventually(lambda: held(guide, path)[1] == last, "it goes on from where it was")
    assert held(guide, path)[0] == registry(names)
    keeper.stop()


def test_an_index_that_was_away_too_long_begins_anew(
    guide: dict[str, Any], names: NameStore, tmp_path: Path
) -> None:
    """What is not kept any more is made up for by a new picture."""
    path = tmp_path / "index.sqlite"
    keeper = Keeper(guide, names, path)
    eventually(lambda: keeper.feeds, "it follows")
    keeper.stop()
    keep = encode_command(KeepEvents(b"keep", 1, 10**9))
    gateway = names._driver._guarded._gateway  # type: ignore[attr-defined]
    loop = names._driver._guarded._loop  # type: ignore[attr-defined]
    asyncio.run_coroutine_threadsafe(gateway.decide([keep], 1, WAIT), loop).result(WAIT)
    for part in range(4):
        assert all(names.register_many([f"user:{part}-{n}" for n in range(300)], timeout=WAIT))
    last = names.release("user:0-0")
    keeper = Keeper(guide, names, path)
    eventually(lambda: held(guide, path)[1] == last, "it began anew")
    assert held(guide, path)[0] == registry(names)
    keeper.stop()


def test_the_quiet_index_moves_on(guide: dict[str, Any], tmp_path: Path) -> None:
    """While only other names change, it notes how far it is."""

    async def use() -> None:
        async with await embedded.open_async(tmp_path / "registry", timeout=WAIT) as names:
            index = guide["Index"](tmp_path / "index.sqlite")
            index.note(0)
            await names.register("user:a", "ann")
            for number in range(3):
                await names.register(f"post:{number}")
            keeping = asyncio.ensure_future(guide["keep_quietly"](names, index, 10**6, 0.05))
            async with asyncio.timeout(WAIT):
                while index.revision() != 4:  # noqa: ASYNC110  # the index tells nobody
                    await asyncio.sleep(0.01)
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            rows = index.database.execute("SELECT * FROM held").fetchall()
            assert rows == [("user:a", "ann")]
            index.database.close()

    asyncio.run(use())
