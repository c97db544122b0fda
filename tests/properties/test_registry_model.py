"""The state machine against a plain model, over whatever sequences Hypothesis finds."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from namestore.core.commands import Command
from namestore.core.limits import OUTCOME_RETENTION_MS
from tests.properties.registry_model import RegistryModel, as_answers
from tests.properties.strategies import Ask, asks, resolve
from tests.support.registry_driver import RegistryDriver, register


class RegistryMachine(RuleBasedStateMachine):
    """One registry and its model; entries, retries, duplicates, and a clock that jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = RegistryDriver()
        self.model = RegistryModel()
        self.past: list[Command] = []

    def _apply(self, commands: list[Command]) -> None:
        self.model.pass_time(self.registry.clock_ms)
        self.model.forget_all_but(self.registry.remembered())
        self.past += commands
        decisions = self.registry.apply(*commands)
        expected = [self.model.decide(command) for command in commands]
        assert [as_answers(decision) for decision in decisions] == expected

    @rule(batch=st.lists(asks, max_size=5))
    def entry(self, batch: list[Ask]) -> None:
        """Several commands decided together."""
        commands: list[Command] = []
        for ask in batch:
            past = self.past + commands
            commands.append(resolve(ask, past, len(past)))
        self._apply(commands)

    @rule(hours=st.sampled_from((-50.0, -1.0, 0.001, 5.0, 23.9, 26.0, 1000.0)))
    def time_jumps(self, hours: float) -> None:
        """The next leader's clock differs: log time stands still or leaps."""
        self.registry.clock_ms = max(0, self.registry.clock_ms + int(hours * 3_600_000))

    @rule()
    def everything_old_is_forgotten(self) -> None:
        """Past the retention, a few entries are enough to forget all of it."""
        self.registry.clock_ms = self.registry.meta.time_ms + OUTCOME_RETENTION_MS + 1
        rounds = self.registry.sweep_entries() // 3 + 2
        for _ in range(rounds):
            self._apply([register(f"r{len(self.past)}", "user:busy")])
        assert len(self.registry.remembered()) <= rounds
        assert self.registry.sweep_entries() <= rounds

    @invariant()
    def agrees(self) -> None:
        """Names, holdings, count, revision and log time are the model's."""
        meta = self.registry.meta
        assert self.registry.names() == self.model.held.keys()
        assert (meta.revision, meta.name_count) == (self.model.revision, len(self.model.held))
        for name, holding in self.model.held.items():
            record = self.registry.record(name)
            assert record is not None
            assert (record.owner, record.create_revision) == (holding.owner, holding.revision)

    @invariant()
    def outcomes_are_listed_for_the_sweep(self) -> None:
        """Everything remembered is listed exactly once, so that it will be forgotten."""
        listed = self.registry.listed()
        assert sorted(listed) == sorted(self.registry.remembered())

    def teardown(self) -> None:
        """The same log gives another replica the same bytes."""
        other = RegistryDriver()
        for entry in self.registry.log:
            other.apply_log_entry(entry)
        assert other.state.content == self.registry.state.content


TestRegistryMachine = RegistryMachine.TestCase
TestRegistryMachine.settings = settings(max_examples=150, stateful_step_count=25)


@given(st.lists(asks, max_size=25), st.data())
def test_grouping_into_entries_changes_no_decision(batch: list[Ask], data: st.DataObject) -> None:
    """However the leader cuts the stream of commands into entries, each is decided the same."""
    commands: list[Command] = []
    for ask in batch:
        commands.append(resolve(ask, commands, len(commands)))
    cuts = data.draw(st.sets(st.integers(0, len(commands))))
    one_by_one, grouped = RegistryDriver(), RegistryDriver()

    expected = [one_by_one.decide(command) for command in commands]
    bounds = [0, *sorted(cuts), len(commands)]
    decisions = [
        decision
        for start, end in pairwise(bounds)
        for decision in grouped.apply(*commands[start:end])
    ]

    assert decisions == expected
    assert grouped.names() == one_by_one.names()
    assert grouped.meta.revision == one_by_one.meta.revision
