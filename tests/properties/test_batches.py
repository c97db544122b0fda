"""Registers that are written as one command are decided as if each had come by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from namestore.core.commands import (
    Command,
    Entry,
    PutNamespace,
    RegisterEach,
    RegisterTogether,
    Release,
    as_all,
    encode_command,
    encode_entry,
    members,
    spelled_out,
)
from namestore.core.deciding import each
from namestore.core.outcomes import Decision, Verdict
from namestore.core.policies import encode_policy
from tests.properties.registry_model import RegistryModel
from tests.properties.strategies import NAMES, POLICIES, Ask, Made, asks, resolve
from tests.support.registry_driver import RegistryDriver


@contextmanager
def _one_by_one() -> Iterator[None]:
    """No batch is granted at once: its members are decided in the general way."""
    with (
        mock.patch.object(each, "grant", return_value=None),
        mock.patch.object(each, "grant_together", return_value=None),
    ):
        yield


class _Ways:
    """One log, decided in four ways.

    At once, with a look at each request_id or with one at all of them; one by one; and written as
    the registers that it is short for.
    """

    def __init__(self) -> None:
        self.model = RegistryModel()
        self.short, self.looking, self.general, self.spelled = (RegistryDriver() for _ in range(4))
        self.past: list[Made] = []

    def apply(self, commands: Sequence[Command], hours: int = 0) -> None:
        """The same answers, and the same bytes at the same keys."""
        self.short.pass_hours(hours)
        self.model.pass_time(self.short.clock_ms)
        self.model.forget_all_but(self.short.remembered())
        for command in commands:
            for member in spelled_out(command):
                self.model.decide(member)
        entry = _entry(self.short.clock_ms, commands)
        told = _told(commands, self.short.apply_log_entry(entry))
        with mock.patch.object(each, "LOOK_AT_ONCE_MIN", 1):
            assert told == _told(commands, self.looking.apply_log_entry(entry))
        with _one_by_one():
            assert told == _told(commands, self.general.apply_log_entry(entry))
        spelled = [member for command in commands for member in spelled_out(command)]
        of_members = self.spelled.apply_log_entry(_entry(self.short.clock_ms, spelled))
        assert told == [outcome for decision in of_members for outcome in decision]
        for other in (self.looking, self.general, self.spelled):
            assert other.state.content == self.short.state.content

    def ask(self, batch: list[Ask], hours: int) -> None:
        """Judged by the policies that there are."""
        made: list[Made] = []
        for ask in batch:
            past = self.past + made
            made.append(resolve(ask, past, len(past), self.model))
        self.past += made
        self.apply([request.command for request in made], hours)


def _entry(time_ms: int, commands: Sequence[Command]) -> bytes:
    return encode_entry(Entry(time_ms, [encode_command(command) for command in commands]))


def _told(commands: Sequence[Command], decisions: Sequence[Decision]) -> list[object]:
    """What was decided of each name."""
    found: list[object] = []
    for command, decision in zip(commands, decisions, strict=True):
        is_batch = isinstance(command, RegisterEach | RegisterTogether)
        found += each.spelled_out(command, decision) if is_batch else decision
    return found


_names = st.sampled_from((*NAMES, "x:1", "x:2", "x:3", "y:é"))
# Few, so that they come again.
_identities = st.sampled_from((b"r", b"s"))
_batches = st.builds(
    RegisterEach,
    _identities,
    st.lists(_names, min_size=1, max_size=4).map(tuple),
    st.sampled_from(("", "ann")),
    st.sampled_from((b"", b"pay")),
)
# Under an identity of their own, or under that of a batch's first member.
_wholes = st.builds(
    RegisterTogether,
    st.sampled_from((b"q", b"r\0\0", b"s\0\0")),
    st.lists(_names, min_size=1, max_size=4, unique=True).map(tuple),
    st.sampled_from(("", "ann")),
    st.sampled_from((b"", b"pay")),
)
# The same, as a caller sends it who does not know the short form.
_alls = _wholes.map(as_all)
# Some under the request_id of a batch's member, as a caller could make one up.
_members = st.builds(
    lambda batch, place: list(members(batch))[place % len(batch.names)], _batches, st.integers(0, 3)
)
_releases = st.builds(Release, st.binary(min_size=9, max_size=9), _names, st.just("ann"))
_policies = st.lists(st.tuples(st.sampled_from(("user", "x")), st.sampled_from(POLICIES)))
_hours = st.sampled_from((0, 0, 1, 30))


@given(
    _policies,
    st.lists(
        st.tuples(st.lists(_batches | _wholes | _alls | _members | _releases, max_size=5), _hours),
        min_size=1,
        max_size=6,
    ),
)
def test_batches_are_decided_as_their_members(
    policies: list[tuple[str, object]],
    entries: list[tuple[list[Command], int]],
) -> None:
    """Fresh, repeated, of names that are held or asked for twice, in a namespace with a policy."""
    ways = _Ways()
    ways.apply(
        [
            PutNamespace(b"put %d" % number, namespace, encode_policy(policy), 0)  # type: ignore[arg-type]
            for number, (namespace, policy) in enumerate(policies)
        ]
    )
    for commands, hours in entries:
        ways.apply(commands, hours)


@given(
    st.lists(
        st.tuples(
            st.lists(asks | _batches | _wholes | _alls | _members | _releases, max_size=6), _hours
        ),
        min_size=1,
        max_size=8,
    )
)
def test_batches_among_commands_of_all_kinds(
    entries: list[tuple[list[Ask | Command], int]],
) -> None:
    """Between releases, renames, policies that come and go, and a clock that jumps."""
    ways = _Ways()
    for mixed, hours in entries:
        ways.ask([item for item in mixed if isinstance(item, Ask)], hours)
        ways.apply([item for item in mixed if not isinstance(item, Ask)])


def test_a_batch_that_meets_nothing_is_granted_at_once() -> None:
    """The short way is taken: one outcome says it of all."""
    for kind in (RegisterEach, RegisterTogether):
        ((outcome,),) = RegistryDriver().apply(kind(b"r", ("x:1", "x:2"), "ann"))
        assert outcome.verdict is Verdict.GRANTED_EACH
