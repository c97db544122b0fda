"""Every byte format of the core that was ever released, as files that never change.

A file is named <what>-<format>-<case>.hex. When a format gets a new number, its old files stay and
are still read, and new ones are written:

    python -m tests.golden.test_core_bytes      writes the files that are missing, and only those
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from namestore.core.commands import (
    ENTRY_VERSION,
    AbandonPolicy,
    Confirm,
    Entry,
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
    decode_command,
    decode_entry,
    encode_command,
    encode_entry,
    fingerprint,
    mark,
    marks,
)
from namestore.core.events import (
    EVENTS_FORMAT,
    HOLDING_FORMAT,
    Event,
    EventKind,
    Holding,
    decode_events,
    decode_holding,
    encode_events,
    encode_holding,
)
from namestore.core.namespaces import (
    NAMESPACE_FORMAT,
    NamespaceState,
    decode_namespace,
    encode_namespace,
)
from namestore.core.outcomes import (
    OUTCOME_FORMAT,
    Outcome,
    Verdict,
    decode_decision,
    encode_decision,
)
from namestore.core.policies import (
    POLICY_FORMAT,
    HoldBack,
    Policy,
    Profile,
    decode_policy,
    encode_policy,
)
from namestore.core.records import (
    HELD_BACK_FORMAT,
    RECORD_FORMAT,
    HeldBack,
    Record,
    decode_held_back,
    decode_record,
    encode_held_back,
    encode_record,
)
from namestore.core.state import STATE_FORMAT, StateMeta, decode_meta, encode_meta
from tests.support.registry_driver import RegistryDriver, register, register_all, release

FOLDER = Path(__file__).parent / "core"
REGENERATE = "python -m tests.golden.test_core_bytes"


class Codec(NamedTuple):
    """How a kind of value is written and read, and its present format number."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    format: int


_WANTED = Wanted("user:zoé", "user:zoe\u0301", "account-17", b"\x00\xff")
_PLAIN = Wanted("user:a", "user:a", "ann")
_HELD = Record(
    "user:zoé", "user:zoe\u0301", "account-17", b"\x00\xff", b"r" * 16, 300, 300, 1 << 40
)
_RESERVED = Record(
    "user:zoé",
    "user:zoé",
    "ann",
    b"",
    b"r",
    7,
    9,
    1 << 40,
    (1 << 40) + 60_000,
    ((1, "zoe"), (2, "zoé")),
    True,
    9,
    (1 << 40) + 5,
)
_JUDGED = Wanted(
    "user:zoé", "user:Zoé", "ann", b"\x01", (Judgement(7, ((1, "zoe"),)), Judgement(9)), 60_000
)
_POLICY = encode_policy(Policy(look_alikes=True, hold_back=HoldBack.fixed(3600)))
_CHANGED = Record("user:zoé", "user:zoé", "", b"", b"r", 1, 70_000, 1)


def _encode_event(event: Event) -> bytes:
    record = b"" if event.record is None else encode_record(event.record)
    fields = (event.kind, event.name, record)
    return encode_events(event.time_ms, [(*fields, event.other) if event.other else fields])


CODECS = {
    "command": Codec(encode_command, decode_command, 1),
    "entry": Codec(encode_entry, decode_entry, ENTRY_VERSION),
    "record": Codec(encode_record, lambda data: decode_record("user:zoé", data), RECORD_FORMAT),
    "decision": Codec(encode_decision, decode_decision, OUTCOME_FORMAT),
    "event": Codec(_encode_event, lambda data: decode_events(300, data)[0], EVENTS_FORMAT),
    "holding": Codec(encode_holding, lambda data: decode_holding(9, data), HOLDING_FORMAT),
    "left": Codec(
        lambda held: encode_held_back("user:zoé", held),
        lambda data: decode_held_back("user:zoé", data),
        HELD_BACK_FORMAT,
    ),
    "namespace": Codec(encode_namespace, decode_namespace, NAMESPACE_FORMAT),
    "meta": Codec(encode_meta, decode_meta, STATE_FORMAT),
    "policy": Codec(encode_policy, decode_policy, POLICY_FORMAT),
}

CASES: dict[str, Any] = {
    "command-1-register": Register(b"request-1", _WANTED),
    "command-1-register-plain": Register(bytes(16), _PLAIN),
    "command-1-register-all": RegisterAll(b"request-2", (_WANTED, _PLAIN)),
    "command-1-release": Release(b"request-3", "user:a", "ann"),
    "command-1-release-fenced": Release(b"request-4", "user:a", "ann", 1 << 33),
    "command-1-register-judged": Register(b"request-5", _JUDGED),
    "command-1-register-all-judged": RegisterAll(b"request-6", (_PLAIN, _JUDGED)),
    "command-1-confirm": Confirm(b"request-7", "user:a", "ann", 7),
    "command-1-update": Update(b"request-8", "user:a", "ann", b"new", "bob", 7),
    "command-1-update-nothing": Update(b"request-9", "user:a", "ann"),
    "command-1-rename": Rename(
        b"request-10", "user:a", "user:zoé", "user:Zoé", "ann", _JUDGED.judged, 7
    ),
    "command-1-expire": Expire((ExpireItem("user:a", 7, 1 << 40), ExpireItem("user:b", 8, 1))),
    "command-1-put-namespace": PutNamespace(b"request-11", "user", _POLICY, 7),
    "command-1-index-names": IndexNames("user", 9, (("user:a", ((1, "a"),)), ("user:b", ()))),
    "command-1-abandon-policy": AbandonPolicy(b"request-12", "user", 9),
    "command-1-keep-events": KeepEvents(b"request-13", 1000, 3_600_000),
    "command-1-register-each": RegisterEach(
        b"request-14", ("user:a", "user:zoé", "user:a"), "ann", b"\x00"
    ),
    "command-1-register-together": RegisterTogether(
        b"request-15", ("user:a", "user:zoé"), "ann", b"\x00"
    ),
    "entry-1-empty": Entry(0, (), 1),
    "entry-1-two-commands": Entry(1_700_000_000_000, (b"first", b"second"), 1),
    "entry-2-two-commands": Entry(1_700_000_000_000, (b"first", b"second"), 2),
    "entry-3-two-commands": Entry(1_700_000_000_000, (b"first", b"second"), 3),
    "entry-4-two-commands": Entry(1_700_000_000_000, (b"first", b"second"), 4),
    "entry-5-two-commands": Entry(1_700_000_000_000, (b"first", b"second")),
    "record-2-reserved": _RESERVED,
    "event-1-registered": Event(300, EventKind.REGISTERED, 1 << 40, "user:zoé", _HELD),
    "event-1-renamed": Event(300, EventKind.RENAMED, 1 << 40, "user:zoé", _HELD, "user:a"),
    "event-1-policy": Event(300, EventKind.POLICY_ACTIVE, 1 << 40, "user", None),
    "holding-1-released": Holding("ann", 7, 1 << 40, (1 << 40) + 5, 9, EventKind.RELEASED),
    "left-1-held-back": HeldBack("ann", 1 << 40, 7, ((1, "zoe"), (2, "zoé")), "user:z", 9),
    "left-1-redirect": HeldBack("", 0, 7, (), "user:z", 9),
    "namespace-1-in-force": NamespaceState(7, _POLICY),
    "namespace-1-pending": NamespaceState(7, _POLICY, 9, _POLICY, "user:m"),
    "decision-2-granted-each": (Outcome(Verdict.GRANTED_EACH, 300, _HELD),),
    "decision-2-new-answers": (
        Outcome(Verdict.HELD_BACK, 302, None, 1 << 40, "user:z"),
        Outcome(Verdict.CONFUSABLE, 302, _HELD),
        Outcome(Verdict.POLICY_CHANGED, 302),
        Outcome(Verdict.OWNER_LIMIT, 302),
    ),
    "record-1-held": _HELD,
    "record-1-changed": _CHANGED,
    "decision-1-granted": (Outcome(Verdict.GRANTED, 300, _HELD),),
    "decision-1-all-refused": (
        Outcome(Verdict.NOT_TRIED, 301),
        Outcome(Verdict.TAKEN, 301, _HELD),
    ),
    "decision-1-release-answers": (
        Outcome(Verdict.RELEASED, 302, _CHANGED),
        Outcome(Verdict.NAME_NOT_FOUND, 302),
        Outcome(Verdict.NOT_OWNER, 302, _HELD),
        Outcome(Verdict.STALE_FENCE, 302, _HELD),
        Outcome(Verdict.REQUEST_ID_REUSED, 302),
    ),
    "policy-1-default": Policy(),
    "policy-1-username": Policy(
        profile=Profile.USERNAME,
        length_min=3,
        length_max=300,
        squeeze=True,
        look_alikes=True,
        reserved=("acme*", "zoé"),
        reserved_shipped=True,
        hold_back=HoldBack(50, 86_400, 7_776_000),
        redirect_after_rename=True,
        names_per_owner_max=3,
        reservation_default_s=60,
        reservation_longest_s=3600,
    ),
    "policy-1-email": Policy(
        profile=Profile.EMAIL,
        email_tag_domains=("*",),
        email_dotless_domains=("gmail.com", "googlemail.com"),
    ),
    "meta-1-empty": StateMeta(),
    "meta-1-full": StateMeta(1 << 40, 17, 1 << 35, 600_000, 1_700_000_000_000, 1_699_999_999_999),
    "meta-2-full": StateMeta(9, 2, 31, 4, 1 << 40, 1 << 39, 7, 1 << 38, 1000, 1 << 20, 1 << 41, 1),
}


def _known_state() -> RegistryDriver:
    """A short life of a registry that leaves a key of every kind of the first version behind."""
    registry = RegistryDriver(entry_version=1)
    registry.apply(register("r0", "user:forgotten"))
    registry.pass_hours(26)
    registry.apply(
        register("r1", "user:zoé", "ann", b"payload", "user:zoe\u0301"),
        register("r2", "user:zoé", "bob"),
        register("r1", "user:zoé", "ann", b"payload", "user:zoe\u0301"),
    )
    registry.apply(register_all("r3", "post:1", "post:2"), register_all("r4", "post:2", "post:3"))
    registry.apply(release("r5", "post:1"), release("r6", "post:1"))
    registry.pass_hours(1)
    registry.apply(register("r0", "user:forgotten"))
    return registry


def _second_life() -> RegistryDriver:
    """As above, with what the second version of log entries brought."""
    return _life_with_policies(RegistryDriver(entry_version=2))


def _third_life() -> RegistryDriver:
    """As above, and a release whose register the record had remembered; a retry of each."""
    registry = _life_with_policies(RegistryDriver(entry_version=3))
    registry.apply(register("rb", "post:b"), register("rc", "post:c"), release("rd", "post:b"))
    registry.apply(register("rb", "post:b"), register("rc", "post:c"), release("rc", "post:c"))
    return registry


def _life_with_policies(registry: RegistryDriver) -> RegistryDriver:
    policy = Policy(
        look_alikes=True,
        hold_back=HoldBack.fixed(3600),
        redirect_after_rename=True,
        names_per_owner_max=9,
    )
    registry.apply(register("r1", "user:a"), register("r2", "post:a"))
    registry.apply(PutNamespace(b"r3", "user", encode_policy(policy), 0))
    judged = (Judgement(3, ((1, "b"),)),)
    registry.apply(
        Register(b"r4", Wanted("user:b", "user:B", "ann", b"", judged)),
        IndexNames("user", 3, (("user:a", ((1, "a"),)),)),
        Register(b"r5", Wanted("user:c", "user:c", "bob", b"", (Judgement(3, ((1, "c"),)),), 0)),
    )
    registry.pass_hours(1)
    registry.apply(
        Rename(b"r6", "user:b", "user:d", "user:D", "ann", (Judgement(3, ((1, "d"),)),)),
        Update(b"r7", "user:a", "ann", b"new", "bob"),
        Expire((ExpireItem("user:c", 6, registry.clock_ms - 3_000_000),)),
        Register(b"r8", Wanted("user:e", "user:e", "bob", b"", (Judgement(3, ((1, "e"),)),), 9)),
        release("r9", "post:a"),
        KeepEvents(b"ra", 1000, 3_600_000),
    )
    return registry


def _fourth_life() -> RegistryDriver:
    """And what the fourth brought: batches written as one command, and one that meets a name."""
    registry = _life_with_policies(RegistryDriver(entry_version=4))
    batch = RegisterEach(b"rb", ("post:b", "post:c"), "ann", b"p")
    registry.apply(batch)
    registry.apply(batch, RegisterEach(b"rc", ("post:d", "post:c", "user:f"), "bob"))
    registry.apply(release("rd", "post:b", "ann"))
    return registry


def _fifth_life() -> RegistryDriver:
    """And what the fifth brought: names that are wanted together, granted, repeated and refused."""
    registry = _life_with_policies(RegistryDriver(entry_version=5))
    together = RegisterTogether(b"rb", ("post:b", "post:c"), "ann", b"p")
    registry.apply(together)
    registry.apply(together, RegisterTogether(b"rc", ("post:d", "post:c"), "bob"))
    registry.apply(release("rd", "post:b", "ann"), together)
    return registry


LIVES = {
    1: _known_state,
    2: _second_life,
    3: _third_life,
    4: _fourth_life,
    5: _fifth_life,
}


def _state_lines(registry: RegistryDriver) -> str:
    content = registry.state.content
    return "".join(f"{key.hex()} {content[key].hex()}\n" for key in sorted(content))


def _log_lines(registry: RegistryDriver) -> str:
    return "".join(f"{entry.hex()}\n" for entry in registry.log)


def _golden(name: str) -> bytes:
    return bytes.fromhex((FOLDER / f"{name}.hex").read_text())


@pytest.mark.parametrize("name", CASES)
def test_released_bytes_are_still_read(name: str) -> None:
    """Bytes that were ever written to a disk or a peer mean what they meant."""
    codec = CODECS[name.split("-")[0]]
    assert codec.decode(_golden(name)) == CASES[name]


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_has_not_changed(name: str) -> None:
    """Equal values have equal bytes, for ever; a change needs a new format number."""
    what, number, *_ = name.split("-")
    if int(number) == CODECS[what].format:
        assert CODECS[what].encode(CASES[name]) == _golden(name)


@pytest.mark.parametrize("what", CODECS)
def test_every_present_format_has_a_golden_file(what: str) -> None:
    """A new format number comes with files that hold it."""
    prefix = f"{what}-{CODECS[what].format}-"
    assert any(name.startswith(prefix) for name in CASES), f"add {prefix}… and run {REGENERATE}"


def test_every_golden_file_is_read() -> None:
    """No file is forgotten: each belongs to a case."""
    files = {path.stem for path in FOLDER.glob("*.hex")}
    assert files == CASES.keys() | {
        f"{what}-{number}" for what in ("state", "log") for number in LIVES
    }


@pytest.mark.parametrize("number", LIVES)
def test_released_log_gives_the_released_state(number: int) -> None:
    """A log written by any version is applied to the same state, key by key, byte by byte."""
    registry = RegistryDriver()
    for line in (FOLDER / f"log-{number}.hex").read_text().splitlines():
        registry.apply_log_entry(bytes.fromhex(line))

    assert _state_lines(registry) == (FOLDER / f"state-{number}.hex").read_text()


@pytest.mark.parametrize("number", LIVES)
def test_the_log_is_written_as_it_was(number: int) -> None:
    """The same life is the same log."""
    assert _log_lines(LIVES[number]()) == (FOLDER / f"log-{number}.hex").read_text()


def test_the_second_life_leaves_a_key_of_every_kind() -> None:
    """So that each kind of key and value is held by the files."""
    kinds = {key[:1] for key in _second_life().state.content}
    assert kinds == {b"m", b"n", b"o", b"t", b"k", b"b", b"d", b"x", b"w", b"p", b"e", b"h"}


def test_fingerprint_has_not_changed() -> None:
    """It is stored with each outcome: another function would make every retry a stranger."""
    assert fingerprint(_golden("command-1-register")).hex() == FINGERPRINT


def test_what_marks_a_request_has_not_changed() -> None:
    """Nor has what is taken of a judged request to recognise its retries."""
    judged = CASES["command-1-register-judged"]
    assert mark(judged, encode_command(judged)).hex() == MARK


def test_what_marks_a_name_that_was_not_written_canonically_has_not_changed() -> None:
    """Where no policy judged it, and where one did: a retry is known by either."""
    wanted = Wanted("user:\u00e9", "user:e\u0301", "ann", b"p")
    plain, all_plain = Register(b"r", wanted), RegisterAll(b"r", (wanted,))
    judgement = (Judgement(7, ((1, "x"),)),)
    for asked, expected in ((plain, PLAIN_MARKS), (all_plain, ALL_MARKS)):
        found = marks(asked)
        assert tuple(mark.hex() for mark in found) == expected
        assert found[0] == fingerprint(encode_command(asked))
    of_judged = Register(b"r", replace(wanted, name="user:E", judged=judgement))
    assert marks(of_judged) == (bytes.fromhex(PLAIN_MARKS[1]),)
    all_judged = RegisterAll(b"r", (replace(wanted, name="user:E", judged=judgement),))
    assert marks(all_judged) == (bytes.fromhex(ALL_MARKS[1]),)


PLAIN_MARKS = ("9ac2880989e92a1a", "747e0e767365c7cf")
ALL_MARKS = ("a092ffc68f59d9ba", "4540bebecec48461")
FINGERPRINT = "4b8a7f08494e3b8b"
MARK = "360cdd4dd5f8bdf3"


def _write_missing() -> None:
    texts = {
        name: CODECS[name.split("-")[0]].encode(value).hex() + "\n" for name, value in CASES.items()
    }
    for number, life in LIVES.items():
        registry = life()
        texts |= {f"state-{number}": _state_lines(registry), f"log-{number}": _log_lines(registry)}
    for name, text in texts.items():
        path = FOLDER / f"{name}.hex"
        if not path.exists():
            path.write_text(text)


if __name__ == "__main__":
    _write_missing()
