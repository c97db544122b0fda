"""Names under every policy: canonical forms are fixed points, and judging is total.

`tests/properties/seeds/policy_names.txt` keeps names that once were of interest, one on a line,
escaped; each is judged on every run.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from namestore.core.limits import LABEL_BYTES_MAX
from namestore.core.policies import HoldBack, Policy, Profile, decode_policy, encode_policy
from namestore.errors import InvalidRequest
from namestore.policy import Judge, Judged, Reason, Refusal, policy_from, policy_to, skeleton
from namestore.policy.folding import fold, squeeze
from namestore.policy.skeletons import SKELETON_BYTES_MAX
from namestore.policy.tables import prototypes

POLICIES = [
    Policy(look_alikes=True, squeeze=True, reserved=("a*b", "?m")),
    Policy(profile=Profile.SLUG, look_alikes=True),
    Policy(profile=Profile.USERNAME, look_alikes=True, squeeze=True, reserved_shipped=True),
    Policy(profile=Profile.USERNAME, look_alikes=True, length_min=2, length_max=30),
    Policy(profile=Profile.EMAIL, look_alikes=True, email_tag_domains=("*",)),
    Policy(profile=Profile.EMAIL, email_dotless_domains=("*",), reserved=("abuse@*",)),
]
JUDGES = [Judge(policy) for policy in POLICIES]

KEPT = [
    line.encode().decode("unicode_escape")
    for line in (Path(__file__).parent / "seeds" / "policy_names.txt").read_text().splitlines()
    if line and not line.startswith("#")
]

# What is drawn from all of Unicode is refused, mostly. So letters that have a look-alike, letters
# of one script, and what case or normalisation changes, are drawn more often.
_TELLING = "".join(char for char in prototypes() if char.isalnum())
_SCRIPTS = ("abcimorn019-_.", "\u0430\u0432\u0435\u043e\u0440\u0441\u0456\u04cf", "\u03b1\u03b9")
words = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.text(st.characters(categories=["Lu", "Ll", "Lt", "Mn", "Nd"]), min_size=1, max_size=8),
    st.text(st.sampled_from(_TELLING), min_size=1, max_size=8),
    *(st.text(st.sampled_from(chars), min_size=1, max_size=20) for chars in _SCRIPTS),
    st.text(st.characters(min_codepoint=0x590, max_codepoint=0x6FF), min_size=1, max_size=6),
    st.text(st.characters(min_codepoint=0xFF00, max_codepoint=0xFFEF), min_size=1, max_size=6),
)
addresses = st.builds(
    "{}@{}.{}".format, words, words, st.sampled_from(("org", "Example.ORG", "de"))
)
names = words | addresses | st.sampled_from(KEPT)


def _check_fixed_point(judge: Judge, name: str) -> None:
    """What must hold of a judgement, whatever the name."""
    judged = judge.judge(name)
    if isinstance(judged, Refusal):
        assert judged.message.isascii()
        assert (judged.reason is Reason.RESERVED_WORD) == bool(judged.word)
        return
    canonical = judged.canonical
    assert judge.canonical(canonical) == canonical
    assert 1 <= len(canonical.encode()) <= LABEL_BYTES_MAX
    assert judge.policy.length_min <= len(canonical) <= judge.policy.length_max
    again = judge.judge(canonical)
    assert isinstance(again, Judged)
    assert again == Judged(canonical, canonical, judged.skeleton, None, judged.squeezed)
    assert all(key and len(key.encode()) <= SKELETON_BYTES_MAX for _, key in judged.keys)


def test_names_kept_from_earlier_are_fixed_points() -> None:
    """Whatever randomness finds is written down and never forgotten."""
    assert len(KEPT) > 20
    for judge in JUDGES:
        for name in KEPT:
            _check_fixed_point(judge, name)


@settings(max_examples=500)
@given(names)
def test_canonical_forms_are_fixed_points(name: str) -> None:
    """Under every profile: canonical once is canonical for good, and its keys with it."""
    for judge in JUDGES:
        _check_fixed_point(judge, name)


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute of work, on a machine that may be busy
@settings(max_examples=10_000)
@given(names)
def test_ten_thousand_canonical_forms_are_fixed_points(name: str) -> None:
    """The same for many more names."""
    for judge in JUDGES:
        _check_fixed_point(judge, name)


@given(st.text(max_size=30))
def test_judging_is_total(name: str) -> None:
    """Any text at all, surrogates included, ends in a judgement or a refusal."""
    for judge in JUDGES:
        assert isinstance(judge.judge(name), Judged | Refusal)


@given(words)
@example("\u0345")
@example("\u1e9e\u0130")
def test_folding_and_squeezing_once_is_enough(text: str) -> None:
    """What is compared does not depend on how often it was prepared."""
    assert fold(fold(text)) == fold(text)
    assert squeeze(squeeze(text)) == squeeze(text)
    assert fold(text) == fold(text.upper().lower()) or not text.isascii()


@given(words)
def test_a_skeleton_depends_on_what_the_text_is_and_not_on_how_it_is_written(text: str) -> None:
    """Canonically equivalent texts have one skeleton."""
    forms = {skeleton(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert forms == {skeleton(text)}


seconds = st.integers(0, 10**9)
_reserved = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9))
policies = st.builds(
    Policy,
    profile=st.sampled_from([Profile.EXACT, Profile.SLUG, Profile.USERNAME]),
    length_min=st.integers(1, 10),
    length_max=st.integers(10, 512),
    squeeze=st.booleans(),
    look_alikes=st.booleans(),
    reserved=_reserved.map(lambda found: tuple(sorted(set(found)))),
    reserved_shipped=st.booleans(),
    hold_back=seconds.map(HoldBack.fixed)
    | st.builds(HoldBack, st.integers(0, 1000), st.integers(0, 9), st.integers(9, 99)),
    redirect_after_rename=st.booleans(),
    names_per_owner_max=st.integers(0, 1_000_000),
    reservation_default_s=st.integers(1, 600),
    reservation_longest_s=st.integers(600, 10**9),
)


@given(policies)
def test_a_policy_comes_back_from_bytes_and_from_plain_values(policy: Policy) -> None:
    """The same policy, and the same bytes."""
    assert decode_policy(encode_policy(policy)) == policy
    assert policy_from(policy_to(policy)) == policy
    assert encode_policy(policy_from(policy_to(policy))) == encode_policy(policy)


@given(_reserved, names)
def test_any_reserved_words_are_refused_or_found(reserved: list[str], name: str) -> None:
    """A word that is no mistake keeps its own letters from being registered, and breaks nothing."""
    try:
        judge = Judge(Policy(reserved=tuple(sorted(set(reserved)))))
    except InvalidRequest:
        return
    judge.judge(name)
    for word in reserved:
        judged = judge.judge(word.replace("*", "x").replace("?", "y"))
        assert isinstance(judged, Refusal)
