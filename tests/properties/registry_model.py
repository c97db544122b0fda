"""The registry as one would explain it on a page: dicts, a list of events, and a clock.

It shares no code with the state machine beyond the types of commands, events and policies: it has
no bytes, no bookkeeping and no bounds. What it cannot know, namely which outcomes past their time
were forgotten already, it is told, and checks that it was allowed.
"""

from __future__ import annotations

from typing import NamedTuple

from namestore.core.commands import (
    AbandonPolicy,
    Command,
    Confirm,
    Expire,
    ExpireItem,
    IndexNames,
    Judgement,
    KeepEvents,
    PutNamespace,
    Register,
    RegisterAll,
    Release,
    Rename,
    Update,
    Wanted,
)
from namestore.core.outcomes import Decision
from namestore.core.policies import Policy, decode_policy
from namestore.core.records import Record
from tests.properties.asking import Keys, asked, keys_of

DAY_MS = 24 * 60 * 60 * 1000


class Holding(NamedTuple):
    """Who holds a name, since which revision and time."""

    name: str
    display_name: str
    owner: str
    payload: bytes
    request_id: bytes
    revision: int
    changed: int
    time_ms: int
    expire_ms: int


class Left(NamedTuple):
    """What is left of a holding: for whom the name waits until when, and where he went."""

    owner: str
    until_ms: int
    revision: int
    redirect: str
    redirect_revision: int


class Space(NamedTuple):
    """A namespace's policy in force and its pending one; 0 and None: there is none."""

    version: int = 0
    policy: Policy | None = None
    pending_version: int = 0
    pending: Policy | None = None
    cursor: str = ""

    @property
    def in_force(self) -> Policy:
        return self.policy or Policy()


class Answer(NamedTuple):
    """How one name fared."""

    verdict: str
    revision: int
    holding: Holding | None = None
    until_ms: int = 0
    in_way: str = ""


class Memory(NamedTuple):
    """A request that was answered. `ended`: by a grant, whose holding is over since that time."""

    asked: object
    answers: list[Answer]
    time_ms: int
    ended: Holding | None = None


class Told(NamedTuple):
    """One event."""

    kind: str
    name: str
    other: str
    owner: str


class RegistryModel:
    """Names and who holds them; what is left of others; requests and what they were told."""

    def __init__(self) -> None:
        self.held: dict[str, Holding] = {}
        self.left: dict[str, Left] = {}
        self.spaces: dict[str, Space] = {}
        # Who was the last to have a key. It means something while he holds, or is waited for.
        self.keys: dict[tuple[str, int, str], list[str]] = {}
        self.keys_of: dict[str, Keys] = {}
        # Requests but those that were granted a name simply, and hold it: these have it.
        self.memory: dict[bytes, Memory] = {}
        # Holdings, by their revision, that were handed over.
        self.handed_over: set[int] = set()
        self.told: list[Told] = []
        self.past: dict[str, list[tuple[str, int, int]]] = {}
        self.since: dict[str, int] = {}
        self.time_ms = 1

    @property
    def revision(self) -> int:
        return len(self.told)

    def space(self, name: str) -> Space:
        return self.spaces.get(name.partition(":")[0], Space())

    def pass_time(self, time_ms: int) -> None:
        self.time_ms = max(self.time_ms, time_ms)

    def forget_all_but(self, remembered: set[bytes]) -> None:
        """Forgets what the registry forgot, if it was time."""
        for request_id in self.memory.keys() - remembered:
            age_ms = self.time_ms - self.memory.pop(request_id).time_ms
            assert age_ms > DAY_MS, f"{request_id!r} was forgotten after {age_ms} ms"

    def standing(self, name: str) -> Holding | None:
        """Who holds a name; a reservation that is over ends now."""
        holding = self.held.get(name)
        if holding is not None and 0 < holding.expire_ms <= self.time_ms:
            self._end(holding, "EXPIRED")
            return None
        return holding

    def holds(self, name: str) -> Holding | None:
        """The same, without touching it."""
        holding = self.held.get(name)
        return None if holding is None or 0 < holding.expire_ms <= self.time_ms else holding

    # -- deciding ---------------------------------------------------------------------------

    def decide(self, command: Command) -> list[Answer]:
        if isinstance(command, Expire):
            return [self._expire(item) for item in command.items]
        if isinstance(command, IndexNames):
            return [self._index(command)]
        known = self._known(command)
        if known is not None:
            return known
        simple = isinstance(command, Register) and self._is_simple(command.wanted)
        answers = self._decide_anew(command)
        if answers[0].verdict in ("POLICY_CHANGED", "REQUEST_ID_REUSED"):
            return answers
        if simple and answers[0].verdict == "GRANTED":
            return answers  # the holding remembers
        self.memory[command.request_id] = Memory(asked(command), answers, self.time_ms)
        return answers

    def _known(self, command: Command) -> list[Answer] | None:
        """What a request was told before."""
        reused = [Answer("REQUEST_ID_REUSED", self.revision)] * _count(command)
        known, told = self.memory.get(command.request_id), None
        if known is not None and known.ended is None:
            told = known.answers if known.asked == asked(command) else reused
        elif known is not None and not isinstance(command, Rename | RegisterAll):
            told = reused
            if isinstance(command, Register) and known.ended is not None:
                told = [self._again(command.wanted, known.ended)]
        if isinstance(command, Register) and (told is None or told[0].verdict == reused[0].verdict):
            holding = self.holds(command.wanted.name)
            if holding is not None and holding.request_id == command.request_id:
                return [self._again(command.wanted, holding)]
        return told

    def _again(self, wanted: Wanted, holding: Holding) -> Answer:
        """To who was granted it; what was changed since is not known as it was asked for."""
        changed = holding.changed != holding.revision
        as_asked = (
            holding.name in (wanted.name, wanted.display_name)
            and wanted.display_name == holding.display_name
            and (wanted.owner == holding.owner or holding.revision in self.handed_over)
            and (changed or wanted.payload == holding.payload)
        )
        if not as_asked:
            return self._say("REQUEST_ID_REUSED")
        if changed:
            holding = holding._replace(
                owner=wanted.owner, payload=wanted.payload, changed=holding.revision, expire_ms=0
            )
        return Answer("GRANTED", holding.revision, holding)

    def _is_simple(self, wanted: Wanted) -> bool:
        space = self.space(wanted.name)
        return wanted.ttl_ms is None and not space.version and not space.pending_version

    def _decide_anew(self, command: Command) -> list[Answer]:
        match command:
            case Register(request_id, wanted):
                return self._register(request_id, (wanted,))
            case RegisterAll(request_id, many):
                return self._register(request_id, many)
            case Rename():
                return [self._rename(command)]
            case PutNamespace():
                return [self._put(command)]
            case AbandonPolicy(_, namespace, version):
                if self.spaces.get(namespace, Space()).pending_version != version:
                    return [self._say("STALE_FENCE")]
                return [self._abandon(namespace)]
            case KeepEvents():
                return [self._say("ACCEPTED")]
            case Release() | Confirm() | Update():
                return [self._change(command)]
            case _:
                raise AssertionError(command)

    def _register(self, request_id: bytes, many: tuple[Wanted, ...]) -> list[Answer]:
        if not all(self._is_judged(wanted.name, wanted.judged) for wanted in many):
            return [self._say("POLICY_CHANGED")] * len(many)
        taken: dict[tuple[str, int, str], str] = {}
        more: list[tuple[str, str]] = []
        found = [self._in_way(request_id, wanted, taken, more) for wanted in many]
        if any(found):
            return [
                answer._replace(revision=self.revision) if answer else self._say("NOT_TRIED")
                for answer in found
            ]
        return [self._grant(request_id, wanted) for wanted in many]

    def _in_way(
        self,
        request_id: bytes,
        wanted: Wanted,
        taken: dict[tuple[str, int, str], str],
        more: list[tuple[str, str]],
    ) -> Answer | None:
        name, owner = wanted.name, wanted.owner
        holding = self.standing(name)
        if holding is not None:
            if holding.request_id != request_id:
                return self._say("TAKEN", holding)
            as_asked = (wanted.display_name, owner, wanted.payload) == holding[1:4]
            if holding.changed == holding.revision and not as_asked:
                return self._say("REQUEST_ID_REUSED")
            return self._say("GRANTED", holding)
        space = self.space(name)
        found = self._waits(name, owner) or self._twin(name, owner, self._keys(name))
        if found is not None or not (space.version or space.pending_version):
            return found
        namespace = name.partition(":")[0]
        places = [(namespace, *key) for key in self._keys(name)]
        for place in places:
            if place in taken:
                return Answer("CONFUSABLE", self.revision, in_way=taken[place])
        taken.update(dict.fromkeys(places, name))
        more.append((namespace, owner))
        return self._too_many(name, owner, more.count((namespace, owner)) - 1)

    def _grant(self, request_id: bytes, wanted: Wanted) -> Answer:
        policy, expire_ms = self.space(wanted.name).in_force, 0
        if wanted.ttl_ms is not None:
            ttl_ms = wanted.ttl_ms or policy.reservation_default_s * 1000
            expire_ms = self.time_ms + min(ttl_ms, policy.reservation_longest_s * 1000)
        holding = Holding(
            wanted.name,
            wanted.display_name,
            wanted.owner,
            wanted.payload,
            request_id,
            self.revision + 1,
            self.revision + 1,
            self.time_ms,
            expire_ms,
        )
        return self._say("GRANTED", self._begin(holding, "REGISTERED"))

    def _change(self, command: Release | Confirm | Update) -> Answer:
        old = self._held(command, command.name)
        if isinstance(old, Answer):
            return old
        match command:
            case Release():
                self._end(old, "RELEASED")
                return self._say("RELEASED", old)
            case Confirm():
                if old.expire_ms:
                    old = self._replace(old._replace(expire_ms=0), "CONFIRMED")
                return self._say("CONFIRMED", old)
            case Update(_, name, _, payload, new_owner, _):
                new = old if payload is None else old._replace(payload=payload)
                if new_owner is not None and new_owner != old.owner:
                    if refused := self._too_many(name, new_owner, 0):
                        return refused
                    self._note_past(old)
                    new = new._replace(owner=new_owner)
                    self.handed_over.add(new.revision)
                    self.since[name] = self.time_ms
                    return self._say("UPDATED", self._replace(new, "HANDED_OVER"))
                if new != old:
                    new = self._replace(new, "UPDATED")
                return self._say("UPDATED", new)

    def _rename(self, command: Rename) -> Answer:
        to_name, from_name, owner = command.to_name, command.from_name, command.owner
        if not self._is_judged(to_name, command.judged):
            return self._say("POLICY_CHANGED")
        there = self.standing(to_name)
        if there is not None and there.request_id == command.request_id:
            if (there.owner, there.display_name) != (owner, command.display_name):
                return self._say("REQUEST_ID_REUSED")
            return self._say("RENAMED", there)
        old = self._held(command, from_name)
        if isinstance(old, Answer):
            return old
        found = (
            (self._say("TAKEN", self.standing(to_name)) if self.standing(to_name) else None)
            or self._waits(to_name, owner)
            or self._twin(to_name, owner, self._keys(to_name), from_name)
        )
        if found is None and to_name.partition(":")[0] != from_name.partition(":")[0]:
            found = self._too_many(to_name, owner, 0)
        if found is not None:
            return found._replace(revision=self.revision)
        self._end(old, "RENAMED_AWAY", to_name)
        new = old._replace(
            name=to_name,
            display_name=command.display_name,
            request_id=command.request_id,
            revision=self.revision + 1,
            changed=self.revision + 1,
            time_ms=self.time_ms,
        )
        return self._say("RENAMED", self._begin(new, "RENAMED", from_name))

    def _expire(self, item: ExpireItem) -> Answer:
        holding, means = self.held.get(item.name), (item.create_revision, item.expire_time_ms)
        over = holding is not None and 0 < holding.expire_ms <= self.time_ms
        if holding is None or not over or (holding.revision, holding.expire_ms) != means:
            return self._say("NOT_EXPIRED")
        self._end(holding, "EXPIRED")
        return self._say("EXPIRED", holding)

    # -- policies ---------------------------------------------------------------------------

    def _put(self, command: PutNamespace) -> Answer:
        namespace, policy = command.namespace, decode_policy(command.policy)
        space = self.spaces.get(namespace, Space())
        if space.version != command.expected_version:
            return self._say("STALE_FENCE")
        if space.pending_version and space.pending != policy:
            return self._say("POLICY_BUSY")
        if space.pending_version:
            return Answer("POLICY_PENDING", space.pending_version)
        nobody = not any(name.startswith(f"{namespace}:") for name in self.held)
        if nobody or _judging(policy) == _judging(space.in_force):
            self._tell("POLICY_ACTIVE", namespace)
            self.spaces[namespace] = Space(self.revision, policy)
            return self._say("POLICY_ACTIVE")
        self._tell("POLICY_PENDING", namespace)
        self.spaces[namespace] = Space(space.version, space.policy, self.revision, policy)
        return self._say("POLICY_PENDING")

    def _index(self, command: IndexNames) -> Answer:
        namespace = command.namespace
        space = self.spaces.get(namespace, Space())
        if space.pending_version != command.version:
            return self._say("STALE_FENCE")
        judged, cursor = dict(command.names), space.cursor
        own = [name for name in self.held if name.startswith(f"{namespace}:")]
        for name in sorted(own, key=str.encode):
            if name <= cursor:
                continue
            holding = self.standing(name)
            if holding is not None and holding.revision < space.pending_version:
                if name not in judged:
                    self.spaces[namespace] = space._replace(cursor=cursor)
                    return self._say("POLICY_PENDING")
                twin = self._twin(name, None, judged[name])
                if twin is not None:
                    self._abandon(namespace)
                    return twin._replace(
                        verdict="POLICY_ABANDONED", revision=self.revision, in_way=name
                    )
                self._claim(name, judged[name])
            cursor = name
        self._tell("POLICY_ACTIVE", namespace)
        self.spaces[namespace] = Space(space.pending_version, space.pending)
        return self._say("POLICY_ACTIVE")

    def _abandon(self, namespace: str) -> Answer:
        space = self.spaces[namespace]
        self._tell("POLICY_ABANDONED", namespace)
        self.spaces[namespace] = Space(space.version, space.policy)
        return self._say("POLICY_ABANDONED")

    # -- what is in the way -----------------------------------------------------------------

    def _is_judged(self, name: str, judged: tuple[Judgement, ...]) -> bool:
        space = self.space(name)
        versions = {judgement.version for judgement in judged}
        return {space.version, space.pending_version} - {0} <= versions

    def _keys(self, name: str) -> Keys:
        """What the policies demand; whoever proposes judges as the model does."""
        space = self.space(name)
        both = {
            key
            for policy in (space.policy, space.pending)
            if policy is not None
            for key in keys_of(policy, name)
        }
        return tuple(sorted(both))

    def _waits(self, name: str, owner: str) -> Answer | None:
        left = self.left.get(name)
        if left is None or left.until_ms <= self.time_ms or left.owner == owner:
            return None
        return Answer("HELD_BACK", self.revision, until_ms=left.until_ms)

    def _twin(self, name: str, owner: str | None, keys: Keys, leaving: str = "") -> Answer | None:
        for key in keys:
            for other in self.keys.get((name.partition(":")[0], *key), ()):
                if other == leaving:
                    break
                if key not in self.keys_of[other]:
                    continue
                if other != name and (holding := self.standing(other)) is not None:
                    return self._say("CONFUSABLE", holding)
                left = self.left.get(other)
                if not left or left.until_ms <= self.time_ms:
                    continue
                if other != name and left.owner != owner:
                    return Answer("HELD_BACK", self.revision, None, left.until_ms, other)
                break
        return None

    def _too_many(self, name: str, owner: str, more: int) -> Answer | None:
        most = self.space(name).in_force.names_per_owner_max
        namespace = name.partition(":")[0] + ":"
        # One whose reservation is over counts until it is removed.
        has = sum(n.startswith(namespace) and h.owner == owner for n, h in self.held.items())
        return self._say("OWNER_LIMIT") if most and has + more >= most else None

    def _held(self, command: Release | Confirm | Update | Rename, name: str) -> Holding | Answer:
        holding, fence = self.standing(name), command.create_revision
        if holding is None:
            return self._say("NAME_NOT_FOUND")
        if holding.request_id == command.request_id:
            return self._say("REQUEST_ID_REUSED")
        if holding.owner != command.owner:
            return self._say("NOT_OWNER", holding)
        if fence and fence != holding.revision:
            return self._say("STALE_FENCE", holding)
        return holding

    # -- changing ---------------------------------------------------------------------------

    def _begin(self, holding: Holding, kind: str, other: str = "") -> Holding:
        name = holding.name
        self.left.pop(name, None)
        self.keys_of[name] = ()
        self._claim(name, self._keys(name))
        self.held[name] = holding
        self.since[name] = self.time_ms
        self._tell(kind, name, other, holding.owner)
        return holding

    def _end(self, holding: Holding, kind: str, to_name: str = "") -> None:
        name, policy = holding.name, self.space(holding.name).in_force
        del self.held[name]
        if holding.request_id not in self.memory:
            self.memory[holding.request_id] = Memory(None, [], self.time_ms, holding)
        self._note_past(holding)
        self._tell(kind, name, to_name, holding.owner)
        period_ms = policy.hold_back.period_ms(self.time_ms - holding.time_ms)
        if holding.expire_ms:
            period_ms = 0
        redirect = to_name if policy.redirect_after_rename else ""
        if period_ms or redirect:
            self.left[name] = Left(
                holding.owner if period_ms else "",
                self.time_ms + period_ms if period_ms else 0,
                holding.revision,
                redirect,
                self.revision + 1 if redirect else 0,
            )

    def _replace(self, holding: Holding, kind: str) -> Holding:
        self._tell(kind, holding.name, "", holding.owner)
        self.held[holding.name] = holding._replace(changed=self.revision)
        return self.held[holding.name]

    def _claim(self, name: str, keys: Keys) -> None:
        self.keys_of[name] = tuple({*self.keys_of.get(name, ()), *keys})
        for key in keys:
            names = self.keys.setdefault((name.partition(":")[0], *key), [])
            names[:] = [name, *(other for other in names if other != name)]

    def _note_past(self, holding: Holding) -> None:
        span = (holding.owner, self.since[holding.name], self.time_ms)
        self.past.setdefault(holding.name, []).append(span)

    def _tell(self, kind: str, name: str, other: str = "", owner: str = "") -> None:
        self.told.append(Told(kind, name, other, owner))

    def _say(self, verdict: str, holding: Holding | None = None) -> Answer:
        return Answer(verdict, self.revision, holding)


def as_answers(decision: Decision) -> list[Answer]:
    """What the state machine decided, in the words of the model."""
    return [
        Answer(
            outcome.verdict.name,
            outcome.revision,
            as_holding(outcome.record),
            outcome.until_ms,
            outcome.in_way,
        )
        for outcome in decision
    ]


def as_holding(record: Record | None) -> Holding | None:
    """A record in the words of the model."""
    if record is None:
        return None
    return Holding(
        record.name,
        record.display_name,
        record.owner,
        record.payload,
        record.request_id,
        record.create_revision,
        record.mod_revision,
        record.create_time_ms,
        record.expire_time_ms,
    )


def _judging(policy: Policy) -> tuple[object, ...]:
    limits_owners = policy.names_per_owner_max > 0
    lengths = (policy.length_min, policy.length_max)
    return (policy.profile, lengths, policy.look_alikes, policy.squeeze, limits_owners)


def _count(command: Command) -> int:
    return len(command.wanted) if isinstance(command, RegisterAll) else 1
