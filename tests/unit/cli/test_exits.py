"""Exit codes, as scripts rely on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from namestore import errors
from namestore.cli.exits import advice, exit_code, reason
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_store import FakeStore

EXPECTED = {
    errors.InvalidRequest: 2,
    errors.InvalidName: 2,
    errors.NameNotFound: 1,
    errors.NotOwner: 1,
    errors.StaleFence: 1,
    errors.RevisionCompacted: 1,
    errors.NameTaken: 1,
    errors.SlugsExhausted: 1,
    errors.Unauthenticated: 1,
    errors.PermissionDenied: 1,
    errors.NotImplementedYet: 2,
    errors.NoQuorum: 3,
    errors.NoLeader: 3,
    errors.Overloaded: 3,
    errors.ShuttingDown: 3,
    errors.Unreachable: 3,
    errors.OutcomeUnknown: 4,
    errors.ClientMisuse: 2,
    errors.ConfigError: 2,
    errors.StorageError: 3,
    errors.DirectoryInUse: 3,
    errors.DiskDamaged: 3,
    errors.DiskFailed: 4,
    errors.InvariantViolation: 4,
}


def every_error(root: type[errors.NamestoreError]) -> Iterator[type[errors.NamestoreError]]:
    yield root
    for kind in root.__subclasses__():
        yield from every_error(kind)


@pytest.mark.parametrize("kind", tuple(every_error(errors.NamestoreError)))
def test_every_error_has_a_code_and_a_reason(kind: type[errors.NamestoreError]) -> None:
    """A class that is added later is never mistaken for done, and never nameless."""
    error = kind("it went wrong")
    assert exit_code(error) in {1, 2, 3, 4}
    assert reason(error)


@pytest.mark.parametrize(("kind", "code"), tuple(EXPECTED.items()))
def test_error_ends_the_command_with_its_code(
    kind: type[errors.NamestoreError], code: int, run: Run, store: FakeStore
) -> None:
    """1 refused, 2 bad request, 3 certainly not done, 4 may have been done."""

    def fail(method: str, asked: object) -> None:
        raise kind("it went wrong")

    store.before = fail
    result = run("list")
    assert result.exit_code == code
    assert "it went wrong" in result.stderr
    assert result.stdout == ""


def test_error_nobody_foresaw_is_never_certainly_not_done() -> None:
    """Claiming that nothing happened needs a reason to."""

    class Novel(errors.NamestoreError):
        pass

    assert exit_code(Novel("?")) == 4


def test_defect_ends_with_outcome_unknown(run: Run, store: FakeStore) -> None:
    """Python's own code for a traceback is 1, which would read as refused."""

    def fail(method: str, asked: object) -> None:
        raise RuntimeError("a bug")

    store.before = fail
    result = run("list")
    assert result.exit_code == 4
    assert "a bug" in result.stderr


def test_unreachable_says_how_to_start_a_node() -> None:
    """The first thing a newcomer meets."""
    assert "namestore-local-cluster up" in advice(errors.Unreachable("nobody there"))
