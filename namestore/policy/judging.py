"""Whether a label may be registered under a policy, and everything the registry must keep of it.

A label is judged once, by the node that takes the call, before the log; the log carries what was
found. The judgement depends on the label, the policy and the tables (`tables_version`), and on
nothing else: not on the names that exist. Whether a name is taken, or looks like one that is, the
registry decides, by comparing what is given here byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from namestore.core.limits import LABEL_BYTES_MAX
from namestore.core.policies import KeyKind, Policy, Profile
from namestore.errors import InvalidName
from namestore.policy.addresses import email_form
from namestore.policy.folding import squeeze, without_punctuation
from namestore.policy.profiles import canonical_exact, canonical_slug, canonical_username
from namestore.policy.refusing import Reason, invalid, shown
from namestore.policy.reserved import Hit, Reserved
from namestore.policy.skeletons import ORIGINAL_BYTES_MAX, skeleton
from namestore.policy.tables import shipped_words

_UTF8_BYTES_MAX = 4  # of one character

_FORMS: dict[Profile, Callable[[str], str]] = {
    Profile.EXACT: canonical_exact,
    Profile.SLUG: canonical_slug,
    Profile.USERNAME: canonical_username,
}


class Judged(NamedTuple):
    """A label that may be registered if nobody holds it, or one of its `keys`.

    Attributes:
        original: As it was given; to be shown.
        canonical: What it is stored and compared as.
        skeleton: What the canonical form looks like; None: the policy does not refuse look-alikes.
            Where the policy squeezes, of the squeezed form: it then says all that `squeezed` says.
        shown_skeleton: What the label looks like as it was given, where that is something else:
            `paypaI` is shown with a capital I, which looks like the l of `paypal`.
        squeezed: The label without its punctuation; None: the policy does not squeeze.
    """

    original: str
    canonical: str
    skeleton: str | None
    shown_skeleton: str | None
    squeezed: str | None

    @property
    def keys(self) -> tuple[tuple[KeyKind, str], ...]:
        """What no two names of a namespace may share, besides the canonical form: up to two texts.

        All of one kind, which the policy decides.
        """
        if self.skeleton is None:
            return () if self.squeezed is None else ((KeyKind.SQUEEZED, self.squeezed),)
        kind = KeyKind.LOOKS if self.squeezed is None else KeyKind.SQUEEZED_LOOKS
        if self.shown_skeleton is None:
            return ((kind, self.skeleton),)
        return ((kind, self.skeleton), (kind, self.shown_skeleton))


class Refusal(NamedTuple):
    """A label that nobody may register.

    Attributes:
        reason: For programs.
        message: For people: what is wrong, and what to do.
        word: The reserved word that was met, as the policy writes it; empty: none.
    """

    reason: Reason
    message: str
    word: str = ""


class Judge:
    """One policy, made ready to judge. Immutable; safe to use from any thread.

    Making one takes milliseconds, so it is kept as long as the policy is in force.
    """

    def __init__(self, policy: Policy) -> None:
        """Prepares the policy.

        Raises:
            InvalidRequest: A reserved word or a domain in it that cannot be.
        """
        self.policy = policy
        shipped = shipped_words() if policy.reserved_shipped else ()
        self._reserved = Reserved((*policy.reserved, *shipped), policy.squeeze)
        self._form = _FORMS.get(policy.profile) or email_form(
            policy.email_tag_domains, policy.email_dotless_domains
        )

    def canonical(self, label: str) -> str:
        """The canonical form alone: for looking up, releasing and changing names that exist.

        Lengths within 512 bytes and reserved words do not matter here, so that a name registered
        under an earlier policy can still be reached.

        Raises:
            InvalidName: The label has no canonical form; `metadata["reason"]` is a `Reason`.
        """
        if not label:
            raise invalid(Reason.EMPTY, "the label is empty; write at least one character")
        _check_bytes(label, ORIGINAL_BYTES_MAX)
        canonical = self._form(label)
        _check_bytes(canonical, LABEL_BYTES_MAX)
        return canonical

    def judge(self, label: str) -> Judged | Refusal:
        """Everything the registry must keep of a label, or why nobody may register it."""
        policy = self.policy
        try:
            canonical = self.canonical(label)
        except InvalidName as error:
            return Refusal(Reason(error.metadata["reason"]), error.message)
        if not policy.length_min <= len(canonical) <= policy.length_max:
            return self._refuse_length(label, canonical)
        if hit := self._reserved.find(canonical, label):
            return _refuse_reserved(label, hit)
        squeezed = squeeze(canonical) if policy.squeeze else None
        if not policy.look_alikes:
            return Judged(label, canonical, None, None, squeezed)
        looks = skeleton(squeezed or canonical)
        if not looks:
            return Refusal(
                Reason.NOTHING_VISIBLE,
                f"{shown(label)} has no visible character; write one that can be seen",
            )
        if label == canonical:
            return Judged(label, canonical, looks, None, squeezed)
        shown_looks = skeleton(without_punctuation(label) if policy.squeeze else label)
        return Judged(
            label, canonical, looks, shown_looks if shown_looks != looks else None, squeezed
        )

    def _refuse_length(self, label: str, canonical: str) -> Refusal:
        length, smallest, largest = len(canonical), self.policy.length_min, self.policy.length_max
        reason = Reason.TOO_SHORT if length < smallest else Reason.TOO_LONG
        return Refusal(
            reason, f"{shown(label)} has {length} characters; {smallest} to {largest} are allowed"
        )


def _check_bytes(text: str, bytes_max: int) -> None:
    """Refuses text that is too long before, or after, it is made canonical."""
    if len(text) * _UTF8_BYTES_MAX <= bytes_max:
        return
    size = len(text.encode(errors="surrogatepass"))
    if size > bytes_max:
        raise invalid(
            Reason.TOO_LONG,
            f"{shown(text)} has {size} bytes of UTF-8; at most {bytes_max} are allowed",
        )


def _refuse_reserved(label: str, hit: Hit) -> Refusal:
    relation = "looks like" if hit.looks_only else "is covered by"
    return Refusal(
        Reason.RESERVED_WORD,
        f"{shown(label)} {relation} the reserved word {shown(hit.word)}; choose another",
        hit.word,
    )
