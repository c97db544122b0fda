"""What Hypothesis draws: names that collide for the registry, anything for the codecs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from hypothesis import strategies as st

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
    RegisterEach,
    RegisterTogether,
    Release,
    Rename,
    Update,
    Wanted,
)
from namestore.core.commands.each import BATCH_ID_BYTES_MAX
from namestore.core.limits import PAYLOAD_BYTES_MAX, PERIOD_MS_MAX, REQUEST_ID_BYTES_MAX
from namestore.core.outcomes import Outcome, Verdict
from namestore.core.policies import HoldBack, Policy, encode_policy
from namestore.core.records import Record
from tests.properties.asking import keys_of
from tests.properties.registry_model import RegistryModel

NAMES = ("user:lo", "user:l0", "user:l-o", "user:b", "post:lo", "post:l0")
POLICIES = (
    Policy(),
    Policy(look_alikes=True, hold_back=HoldBack.fixed(3600)),
    Policy(squeeze=True, names_per_owner_max=2, redirect_after_rename=True),
    Policy(
        look_alikes=True,
        squeeze=True,
        hold_back=HoldBack(50, 0, 7200),
        redirect_after_rename=True,
        reservation_default_s=30,
        reservation_longest_s=60,
    ),
    Policy(names_per_owner_max=1, hold_back=HoldBack.fixed(60)),
)

Make = Callable[[bytes, RegistryModel], Command]


class Ask(NamedTuple):
    """One call before it has its request_id, and before its names are judged.

    Attributes:
        make: The command, once the request_id is known and there are policies to judge by.
        past: None: a new request. Otherwise the place, counted back, of an earlier one.
        same: With `past`: "bytes": repeat that request as it was; "asked": the same, judged anew;
            "id": only its request_id is taken.
    """

    make: Make
    past: int | None
    same: str


class Made(NamedTuple):
    """A request that was made."""

    request_id: bytes
    make: Make
    command: Command


_owners = st.sampled_from(("ann", "bob"))
_names = st.sampled_from(NAMES)


@st.composite
def _wanted(draw: st.DrawFn) -> Wanted:
    name = draw(_names)
    shown = draw(st.sampled_from((name, name, name.title())))
    payload = draw(st.sampled_from((b"", b"pay")))
    ttl_ms = draw(st.sampled_from((None, None, 0, 60_000, 10**12)))
    return Wanted(name, shown, draw(_owners), payload, ttl_ms=ttl_ms)


_several = st.lists(_wanted(), min_size=1, max_size=3, unique_by=lambda wanted: wanted.name)


def _judged(model: RegistryModel, name: str) -> tuple[Judgement, ...]:
    space = model.space(name)
    pairs = (space.version, space.policy), (space.pending_version, space.pending)
    return tuple(
        Judgement(version, keys_of(policy, name)) for version, policy in pairs if policy is not None
    )


def _register(wanted: Wanted, judge: bool) -> Make:
    def make(request_id: bytes, model: RegistryModel) -> Command:
        judged = _judged(model, wanted.name) if judge else ()
        return Register(request_id, replace(wanted, judged=judged))

    return make


def _register_all(many: list[Wanted]) -> Make:
    return lambda request_id, model: RegisterAll(
        request_id, tuple(replace(item, judged=_judged(model, item.name)) for item in many)
    )


class Target(NamedTuple):
    """Which holding a command means, found when it is made.

    Attributes:
        name: This one, or rather:
        place: Which of the names that are held then; None: `name`.
        right: The owner is that of the holding; otherwise "bob".
        fence: "none", "right" or "wrong".
    """

    name: str
    place: int | None
    right: bool
    fence: str

    def found(self, model: RegistryModel) -> tuple[str, str, int]:
        """Name, owner and fence."""
        held = sorted(model.held)
        name = self.name if self.place is None or not held else held[self.place % len(held)]
        holding = model.held.get(name)
        if holding is None:
            return name, "ann", 0
        fence = 0 if self.fence == "none" else holding.revision + (self.fence == "wrong")
        return name, holding.owner if self.right else "bob", fence


def _rename(target: Target, to_name: str, title: bool) -> Make:
    shown = to_name.title() if title else to_name

    def make(request_id: bytes, model: RegistryModel) -> Command:
        name, owner, fence = target.found(model)
        return Rename(request_id, name, to_name, shown, owner, _judged(model, to_name), fence)

    return make


def _update(target: Target, payload: bytes | None, new_owner: str | None) -> Make:
    def make(request_id: bytes, model: RegistryModel) -> Command:
        name, owner, fence = target.found(model)
        return Update(request_id, name, owner, payload, new_owner, fence)

    return make


def _owned(kind: type[Release] | type[Confirm], target: Target) -> Make:
    return lambda request_id, model: kind(request_id, *target.found(model))


def _put(namespace: str, policy: Policy, right: bool) -> Make:
    def make(request_id: bytes, model: RegistryModel) -> Command:
        version = model.space(namespace).version + (not right)
        return PutNamespace(request_id, namespace, encode_policy(policy), version)

    return make


def _index(namespace: str, count: int, right: bool) -> Make:
    def make(_: bytes, model: RegistryModel) -> Command:
        space = model.space(namespace)
        version = space.pending_version or 1
        own = sorted(name for name in model.held if name.startswith(f"{namespace}:"))
        names = [name for name in own if name > space.cursor][:count]
        keys = [keys_of(space.pending or Policy(), name) for name in names]
        return IndexNames(namespace, version + (not right), tuple(zip(names, keys, strict=True)))

    return make


def _abandon(namespace: str) -> Make:
    return lambda request_id, model: AbandonPolicy(
        request_id, namespace, model.space(namespace).pending_version or 1
    )


def _expire(right: bool) -> Make:
    def make(_: bytes, model: RegistryModel) -> Command:
        items = [
            ExpireItem(name, holding.revision, holding.expire_ms + (not right))
            for name, holding in model.held.items()
            if holding.expire_ms
        ]
        return Expire(tuple(items) or (ExpireItem("user:b", 1, 1),))

    return make


_spaces = st.sampled_from(("user", "user", "post"))
_mostly = st.sampled_from((True, True, True, False))
_targets = st.builds(
    Target,
    _names,
    st.one_of(st.integers(0, 9), st.integers(0, 9), st.none()),
    _mostly,
    st.sampled_from(("none", "none", "right", "wrong")),
)
_kept = st.builds(
    lambda count, hours: lambda request_id, _: KeepEvents(request_id, count, hours * 3_600_000),
    st.sampled_from((1, 10)),
    st.sampled_from((1, 100)),
)
_makes: st.SearchStrategy[Make] = st.one_of(
    st.builds(_register, _wanted(), _mostly),
    st.builds(_register, _wanted(), _mostly),
    _several.map(_register_all),
    st.builds(_owned, st.sampled_from((Release, Confirm)), _targets),
    st.builds(_owned, st.just(Release), _targets),
    st.builds(
        _update,
        _targets,
        st.sampled_from((None, b"new")),
        st.sampled_from((None, "ann", "bob")),
    ),
    st.builds(_rename, _targets, _names, st.booleans()),
    st.builds(_rename, _targets, _names, st.booleans()),
    st.builds(_put, _spaces, st.sampled_from(POLICIES), _mostly),
    st.builds(_put, _spaces, st.sampled_from(POLICIES), _mostly),
    st.builds(_index, _spaces, st.sampled_from((9, 9, 1, 0)), _mostly),
    st.builds(_index, _spaces, st.sampled_from((9, 9, 1, 0)), _mostly),
    _spaces.map(_abandon),
    _mostly.map(_expire),
    _kept,
)

# Most requests are new, and most of the others are retries.
asks = st.builds(
    Ask,
    _makes,
    st.sampled_from((None,) * 12 + (0, 1, 2, 5)),
    st.sampled_from(("bytes", "asked", "asked", "id")),
)

text = st.text(max_size=20)
any_wanted = st.builds(
    Wanted,
    st.text(min_size=1, max_size=20),
    st.text(min_size=1, max_size=20),
    text,
    st.binary(max_size=PAYLOAD_BYTES_MAX),
)
request_ids = st.binary(min_size=1, max_size=REQUEST_ID_BYTES_MAX)
uint64 = st.integers(0, 2**64 - 1)
_some_text = st.text(min_size=1, max_size=20)
_revisions = st.integers(1, 2**63 - 1)
_keys = st.lists(st.tuples(st.integers(1, 127), _some_text), max_size=4, unique=True).map(tuple)
_judgements = st.lists(
    st.builds(Judgement, _revisions, _keys), max_size=2, unique_by=lambda item: item.version
).map(tuple)
_periods = st.integers(1, PERIOD_MS_MAX)
any_judged = st.builds(
    lambda wanted, judged, ttl_ms: replace(wanted, judged=judged, ttl_ms=ttl_ms),
    any_wanted,
    _judgements,
    st.none() | st.just(0) | _periods,
)
_ends = st.builds(ExpireItem, _some_text, _revisions, _revisions)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Register, request_ids, any_wanted | any_judged),
    st.builds(
        RegisterAll,
        request_ids,
        st.lists(
            any_wanted | any_judged, min_size=1, max_size=4, unique_by=lambda item: item.name
        ).map(tuple),
    ),
    st.builds(
        RegisterEach,
        st.binary(min_size=1, max_size=BATCH_ID_BYTES_MAX),
        st.lists(_some_text, min_size=1, max_size=4).map(tuple),
        text,
        st.binary(max_size=PAYLOAD_BYTES_MAX),
    ),
    st.builds(
        RegisterTogether,
        request_ids,
        st.lists(_some_text, min_size=1, max_size=4, unique=True).map(tuple),
        text,
        st.binary(max_size=PAYLOAD_BYTES_MAX),
    ),
    st.builds(Release, request_ids, _some_text, text, uint64),
    st.builds(Confirm, request_ids, _some_text, text, uint64),
    st.builds(
        Update, request_ids, _some_text, text, st.none() | st.binary(), st.none() | text, uint64
    ),
    st.builds(Rename, request_ids, _some_text, _some_text, _some_text, text, _judgements, uint64),
    st.builds(
        Expire,
        st.lists(_ends, min_size=1, max_size=3, unique_by=lambda item: item.name).map(tuple),
    ),
    st.builds(
        PutNamespace,
        request_ids,
        _some_text,
        st.sampled_from(POLICIES).map(encode_policy),
        uint64,
    ),
    st.builds(
        IndexNames,
        _some_text,
        _revisions,
        st.lists(st.tuples(_some_text, _keys), max_size=3, unique_by=lambda item: item[0]).map(
            tuple
        ),
    ),
    st.builds(AbandonPolicy, request_ids, _some_text, _revisions),
    st.builds(KeepEvents, request_ids, _revisions, _periods),
)
revisions = st.integers(0, 2**62)
records = st.builds(
    lambda name, display, owner, payload, request_id, created, changed, time_ms, later: Record(
        name, display, owner, payload, request_id, created, created + changed, time_ms, *later
    ),
    text,
    st.text(min_size=1, max_size=20),
    text,
    st.binary(max_size=40),
    request_ids,
    revisions,
    revisions,
    revisions,
    st.just(()) | st.tuples(revisions, _keys, st.booleans(), revisions, revisions),
)
outcomes = st.builds(
    Outcome, st.sampled_from(Verdict), revisions, st.none() | records, revisions, text
)


def resolve(ask: Ask, past: list[Made], number: int, model: RegistryModel) -> Made:
    """The request of an ask, given the earlier ones; `number` makes a new request_id unique."""
    request_id, make = f"r{number}".encode(), ask.make
    if ask.past is not None and past:
        earlier = past[-1 - ask.past % len(past)]
        if ask.same == "bytes":
            return earlier
        request_id = earlier.request_id
        make = earlier.make if ask.same == "asked" else make
    return Made(request_id, make, make(request_id, model))
