"""Exporting: formats, files that are whole or absent, and order."""

from __future__ import annotations

import base64
import errno
import json
import os
import stat
from pathlib import Path

import pytest

from namestore import errors
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_store import FakeStore

AWKWARD = {
    "user:a,b": "o",
    'user:"quoted"': "",
    "user:\u00e9\u00e8": "two\nlines",
    "user:plain": "o,1",
}


def fill(store: FakeStore) -> None:
    for name, owner in AWKWARD.items():
        store.holds(name, owner, b"\x00\xff")


def test_export_writes_canonical_names_in_byte_order(run: Run, store: FakeStore) -> None:
    """One a line, as sort(1) would put them in the C locale."""
    fill(store)
    result = run("export")
    assert result.stdout.splitlines() == sorted(AWKWARD, key=str.encode)
    assert "exported 4 names, all as they were at revision 4" in result.stderr


def test_export_of_a_prefix(run: Run, store: FakeStore) -> None:
    """Nothing else is written."""
    fill(store)
    store.holds("post:a")
    assert run("export", "post:").stdout == "post:a\n"


def test_csv_round_trips_into_import(run: Run, store: FakeStore) -> None:
    """Names and owners come back as they were, whatever they hold."""
    fill(store)
    written = run("export", "--format", "csv").stdout
    store.records.clear()
    assert run("import", "-", stdin=written).exit_code == 0
    assert {name: record.owner for name, record in store.records.items()} == AWKWARD


def test_jsonl_holds_every_field(run: Run, store: FakeStore) -> None:
    """The payload in base64."""
    fill(store)
    first = json.loads(run("export", "--format", "jsonl").stdout.splitlines()[0])
    assert first["name"] == 'user:"quoted"'
    assert base64.b64decode(first["payload"]) == b"\x00\xff"
    assert set(first) >= {"display_name", "owner", "create_revision", "mod_revision"}


def test_json_means_jsonl(run: Run, store: FakeStore) -> None:
    """Other formats on standard output contradict it."""
    fill(store)
    assert run("--json", "export").stdout == run("export", "--format", "jsonl").stdout
    assert run("--json", "export", "--format", "csv").exit_code == 2


def test_output_file_is_replaced_whole(run: Run, store: FakeStore, tmp_path: Path) -> None:
    """Nothing else is left beside it."""
    fill(store)
    path = tmp_path / "names.csv"
    path.write_text("old")
    result = run("--json", "export", "--format", "csv", "--output", str(path))
    assert path.read_text().startswith("name,owner\n")
    assert list(tmp_path.iterdir()) == [path]
    assert json.loads(result.stdout) == {"exported": 4, "output": str(path), "revision": 4}


@pytest.mark.parametrize(
    ("error", "code"), ((errors.NoQuorum("no majority"), 3), (KeyboardInterrupt(), 130))
)
def test_output_file_is_never_half_written(
    run: Run, store: FakeStore, tmp_path: Path, error: BaseException, code: int
) -> None:
    """What was there before stays, and what was begun is removed."""
    fill(store)
    path = tmp_path / "names"
    path.write_text("old")

    def fail(method: str, asked: object) -> None:
        if asked == 2:
            raise error

    store.before = fail
    result = run("export", "--output", str(path))
    assert result.exit_code == code
    assert "was not written" in result.stderr
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_output_pipe_is_written_into(run: Run, store: FakeStore, tmp_path: Path) -> None:
    """A pipe stays a pipe, reached by its name or by a link, and its reader gets the export."""
    fill(store)
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        result = run("export", "--output", str(path))
        assert (result.exit_code, os.read(reading, 65536)) == (0, run("export").stdout_bytes)
        os.close(reading)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [link, pipe]


@pytest.mark.parametrize("exists", (True, False))
def test_output_link_stays_and_its_target_is_written(
    run: Run, store: FakeStore, tmp_path: Path, exists: bool
) -> None:
    """Also if the target is not there yet; nothing else is left beside either."""
    fill(store)
    folder, link = tmp_path / "elsewhere", tmp_path / "link"
    folder.mkdir()
    target = folder / "names"
    if exists:
        target.write_text("old")
    link.symlink_to(target)
    assert run("export", "--output", str(link)).exit_code == 0
    assert link.is_symlink()
    assert target.read_bytes() == run("export").stdout_bytes
    assert (list(folder.iterdir()), sorted(tmp_path.iterdir())) == ([target], [folder, link])


def test_output_directory_is_bad_usage(run: Run, store: FakeStore, tmp_path: Path) -> None:
    """Also behind a link; nothing is asked of the registry."""
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    for path in (folder, link):
        result = run("export", "--output", str(path))
        assert result.exit_code == 2
        assert "is a directory" in result.stderr
    assert (store.targets, list(folder.iterdir())) == ([], [])


def test_output_link_in_a_circle_is_said(run: Run, tmp_path: Path) -> None:
    """It leads nowhere, and is not replaced: code 3."""
    link = tmp_path / "link"
    link.symlink_to(link)
    result = run("export", "--output", str(link))
    assert result.exit_code == 3
    assert "could not be written" in result.stderr
    assert link.is_symlink()


def test_output_into_no_directory_is_bad_usage(run: Run, store: FakeStore, tmp_path: Path) -> None:
    """It is said which directory is not there; nothing is asked of the registry."""
    result = run("export", "--output", str(tmp_path / "absent" / "names"))
    assert result.exit_code == 2
    assert f"there is no directory {tmp_path / 'absent'}." in result.stderr
    assert store.targets == []


def test_output_that_cannot_be_written_is_said(
    run: Run, store: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certainly not done: code 3; under the name that was given, not one of our own."""
    fill(store)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    path = tmp_path / "names"
    result = run("export", "--output", str(path))
    assert result.exit_code == 3
    assert f"{path} could not be written: No space left on device" in result.stderr
    assert "partial" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_interrupted_output_says_it_is_not_complete(run: Run, store: FakeStore) -> None:
    """Nobody shall take a part for the whole."""
    fill(store)

    def fail(method: str, asked: object) -> None:
        if asked == 2:
            raise errors.NoQuorum("no majority")

    store.before = fail
    result = run("export")
    assert result.exit_code == 3
    assert "ends after 2 names and is not complete" in result.stderr


def breaks_off(store: FakeStore, times: int, error: Exception) -> None:
    """So many exports break off at their third name; then a name moves, as names do."""
    left = [error] * times

    def fail(method: str, asked: object) -> None:
        if (method, asked) == ("export", 2) and left:
            store.holds(f"user:moved-{len(left)}")
            raise left.pop()

    store.before = fail


def test_an_export_that_breaks_off_is_begun_again(
    run: Run, store: FakeStore, tmp_path: Path
) -> None:
    """With an empty file: the whole of it is of the later revision."""
    fill(store)
    breaks_off(store, 2, errors.ShuttingDown("the node stops"))
    path = tmp_path / "names"
    result = run("export", "--output", str(path))
    assert result.exit_code == 0, result.stderr
    assert path.read_text().splitlines() == sorted(store.records, key=str.encode)
    assert len(store.records) == 6
    assert result.stderr.count("the node stops; beginning again") == 2
    assert "all as they were at revision 6" in result.stderr
    assert list(tmp_path.iterdir()) == [path]


def test_one_that_breaks_off_again_and_again_is_given_up(
    run: Run, store: FakeStore, tmp_path: Path
) -> None:
    """Certainly not done; the file is not there."""
    fill(store)
    breaks_off(store, 100, errors.Unavailable("the export broke off"))
    result = run("export", "--output", str(tmp_path / "names"))
    assert result.exit_code == 3
    assert result.stderr.count("beginning again") == 5
    assert list(tmp_path.iterdir()) == []


def test_one_that_takes_too_long_is_not_begun_again(
    run: Run, store: FakeStore, tmp_path: Path
) -> None:
    """It would take too long again."""
    fill(store)
    breaks_off(store, 1, errors.Overloaded("the export was ended after 900 s"))
    result = run("export", "--output", str(tmp_path / "names"))
    assert result.exit_code == 3
    assert "beginning again" not in result.stderr


def test_what_was_printed_cannot_be_begun_again(run: Run, store: FakeStore) -> None:
    """Of two revisions one after the other nobody could make a list: it fails, and says so."""
    fill(store)
    breaks_off(store, 1, errors.ShuttingDown("the node stops"))
    result = run("export")
    assert result.exit_code == 3
    assert "ends after 2 names and is not complete" in result.stderr
    assert len(result.stdout.splitlines()) == 2


def test_closed_pipe_is_quiet(run: Run, store: FakeStore) -> None:
    """`namestore-cli export | head` ends as other filters do: by the code of SIGPIPE, silently."""
    fill(store)

    def nobody_reads(method: str, asked: object) -> None:
        raise BrokenPipeError

    store.before = nobody_reads
    result = run("export")
    assert (result.exit_code, result.output) == (141, "")
