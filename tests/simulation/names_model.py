"""The committed log, entered into the plain model of a registry: what everybody should have heard.

`tests.properties.registry_model` decides every command again, in the order and at the times of the
log, and shares no code with the state machine. Beside it this book keeps how names and namespaces
stood after every entry, so that a read can be judged by the revision it tells of. Unique keys are
worked out anew, for the few letters that labels here are made of.

Invariant: a request is entered under its first decision; whatever is asked again hears that one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from namestore.core.commands import (
    Command,
    IndexNames,
    Register,
    RegisterAll,
    Rename,
    Wanted,
    decode_command,
    decode_entry,
    spelled_out,
)
from namestore.core.policies import KeyKind, Policy
from namestore.raft.following import KIND_COMMANDS
from namestore.storage.interfaces import LogEntry
from tests.properties.asking import Keys
from tests.properties.registry_model import Answer, Holding, Left, RegistryModel, Space, Told
from tests.simulation.watch import Violation

# Kinds of events after which nobody holds the name.
ENDS = ("RELEASED", "EXPIRED", "RENAMED_AWAY")
_LOOK_ALIKE = str.maketrans("1", "l")
_PUNCTUATION = str.maketrans("", "", "-_.")


def keys_of(policy: Policy, name: str) -> Keys:
    """What a policy demands to be unique, of a label made of small letters, 1, `-` and `_`."""
    label = name.partition(":")[2]
    squeezed, looks = label.translate(_PUNCTUATION), label.translate(_LOOK_ALIKE)
    if policy.look_alikes and policy.squeeze:
        return ((int(KeyKind.SQUEEZED_LOOKS), squeezed.translate(_LOOK_ALIKE)),)
    if policy.look_alikes:
        return ((int(KeyKind.LOOKS), looks),)
    return ((int(KeyKind.SQUEEZED), squeezed),) if policy.squeeze else ()


class _Model(RegistryModel):
    def _keys(self, name: str) -> Keys:
        space = self.space(name)
        policies = [policy for policy in (space.policy, space.pending) if policy is not None]
        return tuple(sorted({key for policy in policies for key in keys_of(policy, name)}))


@dataclass(frozen=True)
class Decided:
    """How a request fared. `index`: of its entry in the log; `command`: as the log has it."""

    index: int
    command: Command
    answers: tuple[Answer, ...]


class Stood(NamedTuple):
    """How a name stood after an entry.

    Attributes:
        name: Which.
        ended: How many holdings of it had ended.
        since_ms: When its owner of then got it.
    """

    name: str
    revision: int
    holding: Holding | None
    left: Left | None
    ended: int
    since_ms: int


class Happened(NamedTuple):
    """One change.

    Attributes:
        subject: What a prefix is compared with: the name; of a policy, how its names begin.
        index: Of its entry in the log.
        holding: As the change left it, or as it was when it ended.
    """

    revision: int
    kind: str
    subject: str
    other: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    time_ms: int
    holding: Holding | None


class Ledger:
    """The model after every entry.

    Attributes:
        decided: By request_id.
        happened: Every change, in order.
        times: Revision to the log times of the states that had it: only these can be read.
        spaces: Namespace to how it stood, and from which revision on.
    """

    def __init__(self) -> None:
        self.model = _Model()
        self.decided: dict[bytes, Decided] = {}
        self.happened: list[Happened] = []
        self.times: dict[int, list[int]] = {0: [1]}
        self.spaces: dict[str, list[tuple[int, Space]]] = defaultdict(list)
        self._names: dict[str, list[Stood]] = defaultdict(list)
        self._last: dict[str, Holding] = {}

    def enter(self, entry: LogEntry) -> None:
        """Takes in the next committed entry."""
        if entry.command[0] != KIND_COMMANDS:
            return
        read, model = decode_entry(entry.command[1:]), self.model
        model.pass_time(read.time_ms)
        before = model.revision
        for data in read.commands:
            for command in map(_as_written, spelled_out(decode_command(data))):
                self._check_judged(command)
                self._decide(entry.index, command)
        self._note(before)
        self.times.setdefault(model.revision, []).append(model.time_ms)

    def _decide(self, index: int, command: Command) -> None:
        answers = tuple(self.model.decide(command))
        for event in self.model.told[len(self.happened) :]:
            self._happen(index, event)
        request_id = getattr(command, "request_id", None)
        if request_id is not None and answers[0].verdict != "POLICY_CHANGED":
            self.decided.setdefault(request_id, Decided(index, command, answers))

    def _happen(self, index: int, event: Told) -> None:
        revision, name = len(self.happened) + 1, event.name
        subject, holding = name, self._last.pop(name, None)
        if event.kind.startswith("POLICY"):
            subject = f"{name}:"
        elif event.kind not in ENDS:
            holding = self._last[name] = self.model.held[name]
        time_ms = self.model.time_ms
        self.happened.append(
            Happened(revision, event.kind, subject, event.other, index, time_ms, holding)
        )

    def _note(self, before: int) -> None:
        model = self.model
        for event in model.told[before:]:
            if event.kind.startswith("POLICY"):
                self.spaces[event.name].append((model.revision, model.spaces[event.name]))
                continue
            name = event.name
            stood = Stood(
                name,
                model.revision,
                model.held.get(name),
                model.left.get(name),
                len(model.past.get(name, ())),
                model.since.get(name, 0),
            )
            self._names[name].append(stood)

    # -- what was ---------------------------------------------------------------------------

    def stood(self, name: str, revision: int) -> Stood:
        """How a name stood at a revision."""
        found = Stood(name, 0, None, None, 0, 0)
        for stood in self._names.get(name, ()):
            if stood.revision > revision:
                break
            found = stood
        return found

    def held(self, name: str, revision: int, time_ms: int) -> Holding | None:
        """Who held a name at a revision and a time of the log."""
        holding = self.stood(name, revision).holding
        return None if holding is None or 0 < holding.expire_ms <= time_ms else holding

    def redirected(self, name: str, revision: int, time_ms: int) -> Holding | None:
        """The holding that a renamed name led to."""
        if self.held(name, revision, time_ms) is not None:
            return None
        left = self.stood(name, revision).left
        while left is not None and left.redirect:
            there = self.held(left.redirect, revision, time_ms)
            if there is not None:
                return there if there.revision == left.redirect_revision else None
            further = self.stood(left.redirect, revision).left
            if further is not None and further.revision != left.redirect_revision:
                return None
            left = further
        return None

    def with_prefix(self, prefix: str, revision: int, time_ms: int) -> list[Holding]:
        """Who held the names that begin so, in the order of their bytes."""
        names = sorted((n for n in self._names if n.startswith(prefix)), key=str.encode)
        found = (self.held(name, revision, time_ms) for name in names)
        return [holding for holding in found if holding is not None]

    def space(self, namespace: str, revision: int) -> Space:
        """How a namespace stood at a revision."""
        found = Space()
        for since, space in self.spaces.get(namespace, ()):
            if since > revision:
                break
            found = space
        return found

    # -- what proposers did -----------------------------------------------------------------

    def _check_judged(self, command: Command) -> None:
        """The unique keys that a command carries are those its policies demand."""
        for name, judged in _judgements(command):
            space = self.model.space(name)
            policies = {space.version: space.policy, space.pending_version: space.pending}
            for judgement in judged:
                policy = policies.get(judgement.version) if judgement.version else None
                if policy is not None and set(judgement.keys) != set(keys_of(policy, name)):
                    raise Violation("judged rightly", f"{name} got the keys {judgement.keys}")
        if isinstance(command, IndexNames):
            pending = self.model.spaces.get(command.namespace, Space())
            if pending.pending is None or pending.pending_version != command.version:
                return
            for name, keys in command.names:
                if set(keys) != set(keys_of(pending.pending, name)):
                    raise Violation("judged rightly", f"{name} is indexed by {keys}")


def _judgements(command: Command) -> list[tuple[str, Any]]:
    match command:
        case Register(_, wanted):
            return [(wanted.name, wanted.judged)]
        case RegisterAll(_, many):
            return [(wanted.name, wanted.judged) for wanted in many]
        case Rename():
            return [(command.to_name, command.judged)]
        case _:
            return []


def _as_written(command: Command) -> Command:
    """What a caller wrote, also where the log leaves it out because it is the name."""
    match command:
        case Register(_, wanted):
            return replace(command, wanted=_shown(wanted))
        case RegisterAll(_, many):
            return replace(command, wanted=tuple(map(_shown, many)))
        case Rename(display_name=""):
            return replace(command, display_name=command.to_name)
        case _:
            return command


def _shown(wanted: Wanted) -> Wanted:
    return wanted if wanted.display_name else replace(wanted, display_name=wanted.name)
