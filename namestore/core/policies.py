"""What a namespace demands of its names: the value, its checks, and its bytes in log and state.

The state machine needs of it how long a released name is held back, how many names an owner may
hold, how long a reservation may last, and whether a renamed name redirects. What the other fields
mean for a label is judged by `namestore.policy`, before the log; here they are carried.

A `Policy` that exists is valid: the checks are its constructor's. Encoded policies are MessagePack
arrays that begin with a format number; equal policies have equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, NoReturn

from namestore.core.limits import LABEL_BYTES_MAX
from namestore.core.packing import check_types, pack, unpack_fields
from namestore.errors import InvalidRequest, InvariantViolation

POLICY_FORMAT = 1

# A hundred years: beyond it a period is a mistake, and log time in milliseconds stays in 64 bits.
SECONDS_MAX = 100 * 366 * 24 * 3600
NAMES_PER_OWNER_MAX = 1_000_000
HOLD_BACK_PERCENT_MAX = 1000

# Together an encoded policy stays well below the smallest `entry_bytes_max` (64 KiB).
RESERVED_WORDS_MAX = 4096
RESERVED_WORD_CHARS_MAX = 128
RESERVED_BYTES_MAX = 32 * 1024
EMAIL_DOMAINS_MAX = 32
EMAIL_DOMAIN_CHARS_MAX = 253

EVERY_DOMAIN = "*"


class Profile(StrEnum):
    """How a label is brought to canonical form. The words are stored: never re-used."""

    EXACT = "exact"
    SLUG = "slug"
    USERNAME = "username"
    EMAIL = "email"


class KeyKind(IntEnum):
    """What a unique key says of its name. The numbers are stored: never re-used, nor re-meant.

    No two names of a namespace share a key of one kind. Which kinds a name has, its policy says.
    """

    LOOKS = 1  # skeleton of the canonical form, and of the label as it is shown
    SQUEEZED = 2  # the canonical form without regard to case and punctuation
    SQUEEZED_LOOKS = 3  # LOOKS of labels without their punctuation


@dataclass(frozen=True, slots=True)
class HoldBack:
    """How long a released name waits for its last owner, whom alone it is given to meanwhile.

    The period is `percent` of the time for which the name was held, but not below `minimum_s` and
    not above `maximum_s`. Never and a fixed time are the cases in which the bounds decide.

    Attributes:
        percent: Of the time held; 0 to 1000.
        minimum_s: Seconds; 0 <= minimum_s <= maximum_s.
        maximum_s: Seconds; 0: never held back.
    """

    percent: int = 0
    minimum_s: int = 0
    maximum_s: int = 0

    def __post_init__(self) -> None:
        """Raises `InvalidRequest` for what is out of range."""
        where = "policy.hold_back"
        _check_number(f"{where}.percent", self.percent, 0, HOLD_BACK_PERCENT_MAX)
        _check_number(f"{where}.maximum_s", self.maximum_s, 0, SECONDS_MAX)
        _check_number(f"{where}.minimum_s", self.minimum_s, 0, SECONDS_MAX)
        if self.minimum_s > self.maximum_s:
            _refuse(
                f"{where}.minimum_s",
                f"{self.minimum_s} is above maximum_s ({self.maximum_s}); raise maximum_s",
            )

    @classmethod
    def fixed(cls, seconds: int) -> HoldBack:
        """The same period for every name; 0: never."""
        return cls(0, seconds, seconds)

    def period_ms(self, held_ms: int) -> int:
        """Milliseconds for which a name is held back that was held for `held_ms` of log time."""
        share_ms = max(held_ms, 0) * self.percent // 100
        return min(max(share_ms, self.minimum_s * 1000), self.maximum_s * 1000)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a namespace demands. `Policy()` is how a namespace without a policy behaves.

    Attributes:
        profile: The canonical form.
        length_min: Code points of the canonical form; at least 1.
        length_max: Code points of the canonical form; at most 512, and so are its bytes.
        squeeze: Labels that differ only in case and in `-`, `_` and `.` exclude each other.
            Not with the profile `email`.
        look_alikes: Labels that look alike (UTS #39) exclude each other.
        reserved: Words nobody may register; `*` stands for any characters, `?` for one. No word
            twice; their order means nothing, and `policy_from` of namestore.policy sorts them.
        reserved_shipped: The list that comes with namestore is reserved as well. Not with the
            profile `email`.
        hold_back: After a release.
        redirect_after_rename: A look-up of the old name says the new one, until somebody takes it.
        names_per_owner_max: 0: as many as they like.
        reservation_default_s: Seconds a reservation lasts that names no time of its own.
        reservation_longest_s: Seconds; reservation_default_s <= reservation_longest_s.
        email_tag_domains: Domains in whose addresses `+` and what follows it means nothing;
            `*`: all. Of the profile `email` only, as is the next.
        email_dotless_domains: Domains in whose addresses dots before the `@` mean nothing.
    """

    profile: Profile = Profile.EXACT
    length_min: int = 1
    length_max: int = LABEL_BYTES_MAX
    squeeze: bool = False
    look_alikes: bool = False
    reserved: tuple[str, ...] = ()
    reserved_shipped: bool = False
    hold_back: HoldBack = field(default_factory=HoldBack)
    redirect_after_rename: bool = False
    names_per_owner_max: int = 0
    reservation_default_s: int = 600
    reservation_longest_s: int = 7 * 24 * 3600
    email_tag_domains: tuple[str, ...] = ()
    email_dotless_domains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises `InvalidRequest` for the first field that cannot be right, with its name."""
        if type(self.profile) is not Profile:
            known = ", ".join(Profile)
            _refuse("policy.profile", f"{self.profile!r} is not a profile; use one of {known}")
        if type(self.hold_back) is not HoldBack:
            _refuse("policy.hold_back", f"{self.hold_back!r} is not a HoldBack")
        for name in ("squeeze", "look_alikes", "reserved_shipped", "redirect_after_rename"):
            if type(getattr(self, name)) is not bool:
                _refuse(f"policy.{name}", f"{getattr(self, name)!r} is neither true nor false")
        _check_number("policy.length_max", self.length_max, 1, LABEL_BYTES_MAX)
        _check_number("policy.length_min", self.length_min, 1, self.length_max)
        _check_number(
            "policy.names_per_owner_max", self.names_per_owner_max, 0, NAMES_PER_OWNER_MAX
        )
        _check_number("policy.reservation_longest_s", self.reservation_longest_s, 1, SECONDS_MAX)
        _check_number(
            "policy.reservation_default_s",
            self.reservation_default_s,
            1,
            self.reservation_longest_s,
        )
        _check_words("policy.reserved", self.reserved, RESERVED_WORDS_MAX, RESERVED_WORD_CHARS_MAX)
        if sum(len(word.encode()) for word in self.reserved) > RESERVED_BYTES_MAX:
            _refuse("policy.reserved", f"has more than {RESERVED_BYTES_MAX} bytes; use wildcards")
        self._check_email()

    def _check_email(self) -> None:
        for name in ("squeeze", "reserved_shipped"):
            if getattr(self, name) and self.profile is Profile.EMAIL:
                _refuse(f"policy.{name}", "is for names and not for addresses; set it to false")
        for name in ("email_tag_domains", "email_dotless_domains"):
            domains = getattr(self, name)
            _check_words(f"policy.{name}", domains, EMAIL_DOMAINS_MAX, EMAIL_DOMAIN_CHARS_MAX)
            if domains and self.profile is not Profile.EMAIL:
                _refuse(f"policy.{name}", "is of the profile email only; leave it away")


_TYPES = (int, str, int, int, bool, bool, tuple, bool, tuple, bool, int, int, int, tuple, tuple)


def encode_policy(policy: Policy) -> bytes:
    """The bytes of a policy; equal policies have equal bytes."""
    hold_back = policy.hold_back
    return pack(
        (
            POLICY_FORMAT,
            policy.profile.value,
            policy.length_min,
            policy.length_max,
            policy.squeeze,
            policy.look_alikes,
            policy.reserved,
            policy.reserved_shipped,
            (hold_back.percent, hold_back.minimum_s, hold_back.maximum_s),
            policy.redirect_after_rename,
            policy.names_per_owner_max,
            policy.reservation_default_s,
            policy.reservation_longest_s,
            policy.email_tag_domains,
            policy.email_dotless_domains,
        )
    )


def decode_policy(data: bytes) -> Policy:
    """The reverse of `encode_policy`.

    Raises:
        InvariantViolation: Bytes that no released version wrote, or of a version newer than this.
    """
    fields = unpack_fields(data, "a policy")
    if fields[0] != POLICY_FORMAT:
        raise InvariantViolation(
            f"policy format {fields[0]!r} is not known to this version of namestore (it knows "
            f"{POLICY_FORMAT}); start the node with the version that wrote it, or newer"
        )
    check_types(fields, _TYPES, "a policy")
    values = list(fields[1:])
    try:
        values[0] = Profile(values[0])
        values[7] = HoldBack(*values[7])
        return Policy(*values)
    except (InvalidRequest, ValueError, TypeError) as error:
        raise InvariantViolation(f"a policy cannot be read: {error}") from error


def _check_number(where: str, value: Any, smallest: int, largest: int) -> None:
    if type(value) is not int or not smallest <= value <= largest:
        _refuse(where, f"{value!r} is not a whole number from {smallest} to {largest}")


def _check_words(where: str, words: Any, count_max: int, chars_max: int) -> None:
    if type(words) is not tuple:
        _refuse(where, f"{type(words).__name__} is not a tuple of texts")
    if len(words) > count_max:
        _refuse(where, f"holds {len(words)} entries; at most {count_max} are allowed")
    for word in words:
        _check_word(where, word, chars_max)
    if len(set(words)) != len(words):
        _refuse(where, f"holds {_first_repeated(words)!a} twice; leave one away")


def _check_word(where: str, word: Any, chars_max: int) -> None:
    if type(word) is not str or not 1 <= len(word) <= chars_max:
        _refuse(where, f"{word!a} is not a text of 1 to {chars_max} characters")
    if any("\ud800" <= char <= "\udfff" for char in word):
        _refuse(where, f"{word!a} holds a surrogate, which no text in UTF-8 does")


def _first_repeated(words: Sequence[str]) -> str:
    seen: set[str] = set()
    for word in words:
        if word in seen:
            break
        seen.add(word)
    return word


def _refuse(where: str, finding: str) -> NoReturn:
    raise InvalidRequest(f"{where}: {finding}", field=where)
