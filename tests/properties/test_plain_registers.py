"""Plain registers are decided by a way of their own, which nobody can tell from the general one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from namestore.core.commands import (
    ENTRY_VERSION,
    Command,
    Entry,
    PutNamespace,
    Register,
    Wanted,
    encode_command,
    encode_entry,
)
from namestore.core.deciding import plain
from namestore.core.policies import Policy, encode_policy
from tests.properties.registry_model import RegistryModel
from tests.properties.strategies import NAMES, POLICIES, Ask, Made, asks, resolve
from tests.support.registry_driver import RegistryDriver


@contextmanager
def _the_general_way() -> Iterator[None]:
    """Nothing is granted plainly: every command is decided as if there were no other way."""
    with mock.patch.object(plain, "decide", lambda step, asked, commands, told: len(told)):
        yield


class _Both:
    """One log, decided both ways."""

    def __init__(self, version: int) -> None:
        self.model = RegistryModel()
        self.short, self.general = RegistryDriver(version), RegistryDriver(version)
        self.past: list[Made] = []

    def apply(self, commands: Sequence[Command], hours: int = 0) -> None:
        """The same entry: the same answers, and the same bytes at the same keys."""
        encoded = [encode_command(command) for command in commands]
        self.short.pass_hours(hours)
        self.model.pass_time(self.short.clock_ms)
        version = self.short.entry_version
        entry = encode_entry(Entry(self.short.clock_ms, encoded, version))
        if version == ENTRY_VERSION:  # the model is of this one, and only steers the others
            self.model.forget_all_but(self.short.remembered())
        for command in commands:
            self.model.decide(command)
        told = self.short.apply_log_entry(entry)
        with _the_general_way():
            assert told == self.general.apply_log_entry(entry)
        assert self.short.state.content == self.general.state.content

    def ask(self, batch: list[Ask], hours: int) -> None:
        """Judged by the policies that there are."""
        made: list[Made] = []
        for ask in batch:
            past = self.past + made
            made.append(resolve(ask, past, len(past), self.model))
        self.past += made
        self.apply([request.command for request in made], hours)


_plain = st.builds(
    Register,
    st.binary(min_size=1, max_size=1),
    st.builds(
        Wanted,
        st.sampled_from((*NAMES, "x:1", "x:2", "y:é")),
        st.sampled_from(("", "x:1", "X:1")),
        st.sampled_from(("", "ann", "bob")),
        st.sampled_from((b"", b"pay")),
    ),
)
_policies = st.lists(st.tuples(st.sampled_from(("user", "x")), st.sampled_from(POLICIES)))
_hours = st.sampled_from((0, 0, 1, 30))


@given(
    st.sampled_from((2, 3)),
    _policies,
    st.lists(st.tuples(st.lists(_plain, max_size=12), _hours), min_size=1, max_size=6),
)
def test_registers_are_decided_both_ways_the_same(
    version: int, policies: list[tuple[str, Policy]], entries: list[tuple[list[Register], int]]
) -> None:
    """Fresh, repeated, under a request_id that was used, of a name that is held, in a namespace
    with a policy: the same answers and the same state."""
    both = _Both(version)
    both.apply(
        [
            PutNamespace(b"put %d" % number, namespace, encode_policy(policy), 0)
            for number, (namespace, policy) in enumerate(policies)
        ]
    )
    for commands, hours in entries:
        both.apply(commands, hours)


@given(
    st.sampled_from((2, 3)),
    st.lists(st.tuples(st.lists(asks | _plain, max_size=8), _hours), min_size=1, max_size=8),
)
def test_any_mixture_is_decided_both_ways_the_same(
    version: int, entries: list[tuple[list[Ask | Register], int]]
) -> None:
    """Between commands of all kinds, policies that come and go, and a clock that jumps."""
    both = _Both(version)
    for batch, hours in entries:
        both.ask([item for item in batch if isinstance(item, Ask)], hours)
        both.apply([item for item in batch if isinstance(item, Register)])


@given(st.lists(_plain, min_size=1, max_size=4), st.sampled_from((2, 3)))
def test_what_is_not_written_our_way_is_decided_both_ways_the_same(
    commands: list[Register], version: int
) -> None:
    """The name written twice, as `encode_command` would not: also such bytes mean one thing."""
    encoded = []
    for command in commands:
        fields = list(msgpack.unpackb(encode_command(command)))
        fields[3] = fields[2]
        encoded.append(msgpack.packb(fields))
    entry = encode_entry(Entry(1, encoded, version))
    short, general = RegistryDriver(version), RegistryDriver(version)
    told = short.apply_log_entry(entry)
    with _the_general_way():
        assert told == general.apply_log_entry(entry)
    assert short.state.content == general.state.content
