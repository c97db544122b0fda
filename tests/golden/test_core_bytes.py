"""Every byte format of the core that was ever released, as files that never change.

A file is named <what>-<format>-<case>.hex. When a format gets a new number, its old files stay and
are still read, and new ones are written:

    python -m tests.golden.test_core_bytes      writes the files that are missing, and only those
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from namestore.core.commands import (
    ENTRY_VERSION,
    Entry,
    Register,
    RegisterAll,
    Release,
    Wanted,
    decode_command,
    decode_entry,
    encode_command,
    encode_entry,
    fingerprint,
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
from namestore.core.records import RECORD_FORMAT, Record, decode_record, encode_record
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
_CHANGED = Record("user:zoé", "user:zoé", "", b"", b"r", 1, 70_000, 1)

CODECS = {
    "command": Codec(encode_command, decode_command, ENTRY_VERSION),
    "entry": Codec(encode_entry, decode_entry, ENTRY_VERSION),
    "record": Codec(encode_record, lambda data: decode_record("user:zoé", data), RECORD_FORMAT),
    "decision": Codec(encode_decision, decode_decision, OUTCOME_FORMAT),
    "meta": Codec(encode_meta, decode_meta, STATE_FORMAT),
    "policy": Codec(encode_policy, decode_policy, POLICY_FORMAT),
}

CASES: dict[str, Any] = {
    "command-1-register": Register(b"request-1", _WANTED),
    "command-1-register-plain": Register(bytes(16), _PLAIN),
    "command-1-register-all": RegisterAll(b"request-2", (_WANTED, _PLAIN)),
    "command-1-release": Release(b"request-3", "user:a", "ann"),
    "command-1-release-fenced": Release(b"request-4", "user:a", "ann", 1 << 33),
    "entry-1-empty": Entry(0, ()),
    "entry-1-two-commands": Entry(1_700_000_000_000, (b"first", b"second")),
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
}


def _known_state() -> RegistryDriver:
    """A short life of a registry that leaves a key of every kind behind."""
    registry = RegistryDriver()
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
    assert files == CASES.keys() | {"state-1", "log-1"}


def test_released_log_gives_the_released_state() -> None:
    """A log written by any version is applied to the same state, key by key, byte by byte."""
    registry = RegistryDriver()
    for line in (FOLDER / "log-1.hex").read_text().splitlines():
        registry.apply_log_entry(bytes.fromhex(line))

    assert _state_lines(registry) == (FOLDER / "state-1.hex").read_text()


def test_the_log_is_written_as_it_was() -> None:
    """The same life is the same log."""
    assert _log_lines(_known_state()) == (FOLDER / "log-1.hex").read_text()


def test_fingerprint_has_not_changed() -> None:
    """It is stored with each outcome: another function would make every retry a stranger."""
    assert fingerprint(_golden("command-1-register")).hex() == FINGERPRINT


FINGERPRINT = "4b8a7f08494e3b8b"


def _write_missing() -> None:
    registry = _known_state()
    texts = {
        name: CODECS[name.split("-")[0]].encode(value).hex() + "\n" for name, value in CASES.items()
    }
    texts |= {"state-1": _state_lines(registry), "log-1": _log_lines(registry)}
    for name, text in texts.items():
        path = FOLDER / f"{name}.hex"
        if not path.exists():
            path.write_text(text)


if __name__ == "__main__":
    _write_missing()
