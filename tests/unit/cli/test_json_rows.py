"""Import of an export in JSON: every field a holder has comes back, and nothing half understood."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO

import pytest

from namestore.cli.lines import read_lines
from namestore.cli.rows import NoSuchFormat, Problem, Row, RowOptions, read_rows
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_store import EPOCH, FakeStore

NOW = RowOptions(wall_clock=EPOCH.timestamp)


def rows(data: str, options: RowOptions = NOW) -> Iterator[Row | Problem]:
    return read_rows(read_lines(BytesIO(data.encode())), options)


def line(**fields: object) -> str:
    return json.dumps({"name": "user:alice", **fields}) + "\n"


def test_an_export_is_imported_with_every_field(run: Run, store: FakeStore) -> None:
    """Payload, owner and spelling; what the registry alone can say begins anew."""
    store.holds("user:\u00e9", "\u00fc\n", b"\x00\xff")
    store.holds("user:b", "")
    before = dict(store.records)
    exported = run("--json", "export").stdout
    store.records.clear()
    result = run("import", "-", "--owner", "default", stdin=exported)
    assert result.exit_code == 0, result.stderr
    for name, record in before.items():
        again = store.records[name]
        assert (again.display_name, again.payload) == (record.display_name, record.payload)
        assert again.owner == (record.owner or "default")


def test_what_is_left_of_a_reservation_is_imported() -> None:
    """Counted from now; one that is over is reported, with when it ended."""
    end = EPOCH + timedelta(seconds=90)
    (row,) = rows(line(expire_time=end.isoformat()))
    assert isinstance(row, Row)
    assert row.ttl == 90
    (over,) = rows(line(expire_time=EPOCH.isoformat().replace("+00:00", "Z")))
    assert isinstance(over, Problem)
    assert "ended at 2030-01-01T00:00:00Z" in over.message


def test_the_spelling_is_registered_and_the_name_is_not() -> None:
    """The namespace's policy makes the name of it, as it did before."""
    (row,) = rows(line(display_name="user:Alice"))
    assert isinstance(row, Row)
    assert row.name == "user:Alice"


@pytest.mark.parametrize(
    ("text", "said"),
    (
        ("{", "not JSON"),
        ("[]", "not an object with a name"),
        ('{"owner": "x"}', "not an object with a name"),
        ('{"name": 7}', "name is not a text"),
        ('{"name": "user:a", "payload": "%"}', "payload is not base64"),
        ('{"name": "user:a", "payload": "' + "QUFB" * 400 + '"}', "payload has 1200 bytes"),
        ('{"name": "user:a", "expire_time": "soon"}', "expire_time is not a time"),
        ('{"name": "user:a", "pay_load": ""}', "'pay_load' is no field"),
        ('{"name": "user:\\ud800"}', "surrogate"),
        ('{"name": "nonsense"}', "no namespace"),
        ('{"name": ' + "[" * 20000, "not JSON"),
    ),
)
def test_a_line_that_is_not_understood_stops_no_other(text: str, said: str) -> None:
    """It is reported with its number, and never registered by half."""
    first, problem, last = rows(line() + text + "\n" + line())
    assert isinstance(first, Row)
    assert isinstance(last, Row)
    assert isinstance(problem, Problem)
    assert problem.line == 2
    assert said in problem.message


def test_a_torn_line_is_none() -> None:
    """As in the other formats; blank lines are skipped."""
    whole, torn = rows(line() + "\n" + line().rstrip("\n"))
    assert isinstance(whole, Row)
    assert isinstance(torn, Problem)
    assert torn.reason == "TORN_LINE"


def test_an_object_is_a_name_where_a_prefix_makes_it_one() -> None:
    """A word list may hold anything; asked for by its name, the format takes no prefix."""
    (row,) = rows('{"name": "x"}\n', RowOptions(prefix="user:"))
    assert isinstance(row, Row)
    assert row.name == 'user:{"name": "x"}'
    with pytest.raises(NoSuchFormat, match="whole names"):
        next(rows(line(), RowOptions(format="jsonl", prefix="user:")))
