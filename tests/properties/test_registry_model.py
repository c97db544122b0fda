"""The state machine against a plain model, over whatever sequences Hypothesis finds."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from namestore.core import reading
from namestore.core import state as keys
from namestore.core.commands import Command, PutNamespace
from namestore.core.events import ENDS_HOLDING
from namestore.core.limits import OUTCOME_RETENTION_MS
from namestore.core.namespaces import namespace_of
from namestore.core.policies import Policy, encode_policy
from namestore.core.records import decode_held_back, decode_record
from tests.properties.registry_model import RegistryModel, as_answers, as_holding
from tests.properties.strategies import NAMES, POLICIES, Ask, Made, asks, resolve
from tests.support.registry_driver import RegistryDriver, register


class RegistryMachine(RuleBasedStateMachine):
    """One registry and its model; entries, retries, duplicates, and a clock that jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = RegistryDriver()
        self.model = RegistryModel()
        self.past: list[Made] = []

    def _apply(self, commands: list[Command]) -> None:
        self.model.pass_time(self.registry.clock_ms)
        self.model.forget_all_but(self.registry.remembered())
        decisions = self.registry.apply(*commands)
        expected = [self.model.decide(command) for command in commands]
        assert [as_answers(decision) for decision in decisions] == expected

    @rule(batch=st.lists(asks, max_size=5))
    def entry(self, batch: list[Ask]) -> None:
        """Several commands decided together."""
        made = []
        for ask in batch:
            made.append(resolve(ask, self.past + made, len(self.past + made), self.model))
        self.past += made
        self._apply([request.command for request in made])

    @initialize(first=st.sampled_from(POLICIES), then=st.sampled_from(POLICIES))
    def policies(self, first: Policy, then: Policy) -> None:
        """Two namespaces that are not the same."""
        commands = [
            PutNamespace(b"first", "user", encode_policy(first), 0),
            PutNamespace(b"then", "post", encode_policy(then), 0),
        ]
        self._apply(list(commands))

    @rule(several=st.lists(asks, min_size=1, max_size=8))
    def one_by_one(self, several: list[Ask]) -> None:
        """Entries of one command, each judged with everything before it decided."""
        for ask in several:
            self.entry([ask])

    @rule(hours=st.sampled_from((-50.0, -1.0, 0.001, 0.02, 0.3, 1.0, 5.0, 23.9, 26.0, 1000.0)))
    def time_jumps(self, hours: float) -> None:
        """The next leader's clock differs: log time stands still or leaps."""
        self.registry.clock_ms = max(0, self.registry.clock_ms + int(hours * 3_600_000))

    @rule(chance=st.integers(0, 9))
    def everything_old_is_forgotten(self, chance: int) -> None:
        """Past the retention, a few entries are enough to forget all of it."""
        if chance:
            return
        self.registry.clock_ms = self.registry.meta.time_ms + OUTCOME_RETENTION_MS + 1
        rounds = self.registry.sweep_entries() // 3 + 2
        for number in range(rounds):
            self._apply([register(f"busy{self.model.revision}-{number}", "busy:a")])
        assert len(self.registry.remembered()) <= rounds
        assert self.registry.sweep_entries() <= rounds

    @invariant()
    def agrees(self) -> None:
        """Names, holdings, what is left of others, count, revision and log time are the model's."""
        view, model = self.registry.view(), self.model
        assert self.registry.names() == model.held.keys()
        assert (view.meta.revision, view.meta.name_count) == (model.revision, len(model.held))
        for name, record in zip(NAMES, reading.lookup(view, NAMES), strict=True):
            assert as_holding(record) == self._held_at(name)
            left, waits = model.left.get(name), reading.held_back(view, name)
            over = left is None or left.until_ms <= view.meta.time_ms
            assert (waits is None) == over
            if waits is not None and left is not None:
                assert (waits.owner, waits.until_ms) == (left.owner, left.until_ms)
            assert as_holding(reading.redirected(view, name)) == self._redirected(name)
        for namespace, space in reading.namespaces(view).items():
            expected = model.spaces[namespace]
            assert (space.version, space.pending_version) == (
                expected.version,
                expected.pending_version,
            )
            assert space.cursor == expected.cursor

    def _held_at(self, name: str) -> object:
        """Who holds a name by the log time of the state, which is that of the last entry."""
        holding = self.model.held.get(name)
        if holding and 0 < holding.expire_ms <= self.registry.meta.time_ms:
            return None
        return holding

    def _redirected(self, name: str) -> object:
        if self._held_at(name) is not None:
            return None
        left = self.model.left.get(name)
        while left is not None and left.redirect:
            there = self._held_at(left.redirect)
            if there is not None:
                return there if there.revision == left.redirect_revision else None  # type: ignore[attr-defined]
            further = self.model.left.get(left.redirect)
            if further is not None and further.revision != left.redirect_revision:
                return None
            left = further
        return None

    @invariant()
    def events_have_no_gap(self) -> None:
        """The feed has every revision from the oldest kept on; what it says is what happened."""
        view = self.registry.view()
        oldest = view.meta.oldest_revision
        if not oldest:
            return
        feed = reading.events(view, oldest, 10_000)
        assert [event.revision for event in feed.events] == [*range(oldest, view.meta.revision + 1)]
        for event in feed.events:
            owner = "" if event.record is None else event.record.owner
            said = (event.kind.name, event.name, event.other, owner)
            assert said == self.model.told[event.revision - 1]
        ended = [event for event in feed.events if event.kind in ENDS_HOLDING]
        kept = [key for key in self.registry.state.content if key[:1] == keys.HOLDING_PREFIX]
        assert len(kept) == len(ended)
        for name in NAMES:
            spans = [
                (past.owner, past.from_ms, past.to_ms)
                for past in reading.history(view, name)
                if past.to_ms
            ]
            every = self.model.past.get(name, [])
            assert spans == every[len(every) - len(spans) :]

    @invariant()
    def indexes_follow_records(self) -> None:
        """Keys, counts and the two orders of ends say what records and hold-backs say."""
        content = self.registry.state.content
        records = {
            name: decode_record(name, content[keys.name_key(name)])
            for name in self.registry.names()
        }
        left = {
            key[1:].decode(): decode_held_back(key[1:].decode(), value)
            for key, value in content.items()
            if key[:1] == keys.HELD_BACK_PREFIX
        }
        assert not records.keys() & left.keys()
        for name, record in records.items():
            for kind, key in record.keys:
                assert content[keys.unique_key(kind, namespace_of(name), key)] == name.encode()
        for place, value in content.items():
            if place[:1] == keys.UNIQUE_PREFIX:
                name = value.decode()
                own = records[name].keys if name in records else left[name].keys
                places = [keys.unique_key(kind, namespace_of(name), key) for kind, key in own]
                assert place in places
        counts = Counter(
            keys.owner_count_key(namespace_of(name), record.owner)
            for name, record in records.items()
            if record.counted
        )
        assert self._numbers(keys.OWNER_COUNT_PREFIX) == counts
        assert self._numbers(keys.EXPIRY_PREFIX) == {
            keys.expiry_key(record.expire_time_ms, name): record.create_revision
            for name, record in records.items()
            if record.expire_time_ms
        }
        ends = {keys.held_back_end_key(item.until_ms, name) for name, item in left.items()}
        waiting = {key for key in content if key[:1] == keys.HELD_BACK_END_PREFIX}
        assert waiting == {key for key in ends if any(key[1:9])}

    def _numbers(self, prefix: bytes) -> dict[bytes, int]:
        content = self.registry.state.content
        return {k: keys.read_number(v) for k, v in content.items() if k[:1] == prefix}

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
TestRegistryMachine.settings = settings(max_examples=120, stateful_step_count=25)


@given(st.lists(asks, max_size=25), st.data())
def test_grouping_into_entries_changes_no_decision(batch: list[Ask], data: st.DataObject) -> None:
    """However the leader cuts the stream of commands into entries, each is decided the same."""
    one_by_one, grouped, model = RegistryDriver(), RegistryDriver(), RegistryModel()
    made: list[Made] = []
    expected = []
    for ask in batch:
        made.append(resolve(ask, made, len(made), model))
        model.pass_time(one_by_one.clock_ms)
        model.decide(made[-1].command)
        expected.append(one_by_one.decide(made[-1].command))
    cuts = data.draw(st.sets(st.integers(0, len(made))))

    bounds = [0, *sorted(cuts), len(made)]
    decisions = [
        decision
        for start, end in pairwise(bounds)
        for decision in grouped.apply(*(request.command for request in made[start:end]))
    ]

    assert decisions == expected
    assert grouped.names() == one_by_one.names()
    assert grouped.meta.revision == one_by_one.meta.revision
    feeds = [reading.events(each.view(), 1, 1000).events for each in (grouped, one_by_one)]
    assert feeds[0] == feeds[1]
