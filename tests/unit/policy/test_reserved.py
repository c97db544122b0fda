"""namestore.policy.reserved: which labels are, or look like, words nobody may register."""

from __future__ import annotations

import re

import pytest

from namestore.errors import InvalidRequest
from namestore.policy.reserved import Hit, Reserved


def _find(word: str, label: str, squeezes: bool = False) -> Hit | None:
    return Reserved([word], squeezes).find(label, label)


def _meet(reserved: Reserved, label: str) -> Hit | None:
    return reserved.find(label, label)


@pytest.mark.parametrize(
    ("word", "label"),
    (
        ("admin", "admin"),
        ("admin", "Admin"),
        ("Admin", "admin"),
        ("zoe\u0301", "zo\u00e9"),
        ("stra\u00dfe", "strasse"),
        ("admin*", "admin"),
        ("admin*", "administrator"),
        ("*admin", "sysadmin"),
        ("*admin*", "the-admin-1"),
        ("a*n", "an"),
        ("a*b*c", "a-b-b-c"),
        ("a**b", "ab"),
        ("ns?", "ns1"),
        ("??", "ab"),
        ("a?c*e", "abcde"),
        ("*@example.org", "x@example.org"),
        ("a.b", "a.b"),
    ),
)
def test_a_word_is_met_by_what_it_stands_for(word: str, label: str) -> None:
    """Whatever the case; `*` is any characters or none, `?` is one."""
    assert _find(word, label) == Hit(word, looks_only=False)


@pytest.mark.parametrize(
    ("word", "label"),
    (
        ("admin", "admins"),
        ("admin", "adm\u00efn"),
        ("admin*", "xadmin"),
        ("*admin", "admins"),
        ("ns?", "ns"),
        ("ns?", "ns10"),
        ("??", "a"),
        ("a*b*c", "acb"),
        ("a.b", "axb"),
        ("a+", "aa"),
        ("[a]", "a"),
    ),
)
def test_a_word_is_not_met_by_anything_else(word: str, label: str) -> None:
    """Nothing but the two wildcards has a meaning of its own."""
    assert _find(word, label) is None


@pytest.mark.parametrize(
    ("word", "label"),
    (
        ("admin", "\u0430dmin"),
        ("admin", "adrnin"),
        ("admin", "\uff41dmin"),
        ("login", "1ogin"),
        ("\u0430dmin", "admin"),
        ("ADMIN", "\u0410DMIN"),
        ("paypal", "paypaI"),
        ("admin*", "\u0430dmin-1"),
        ("*admin", "x-\u0430dmin"),
        ("*admin*", "x\u0430dmin1"),
        ("m*", "rnx"),
        ("rn*", "mx"),
        ("?m", "xrn"),
        ("a?in", "\u0430min"),
        ("adm?n", "\u0430dmin"),
    ),
)
def test_a_word_is_met_by_what_looks_like_it(word: str, label: str) -> None:
    """By skeletons, with wildcards as well."""
    assert _find(word, label) == Hit(word, looks_only=True)


@pytest.mark.parametrize(
    ("word", "label"),
    (("*n", "adam"), ("r*", "mike"), ("??", "m"), ("?n", "m"), ("a?n", "am"), ("*r?", "am")),
)
def test_a_wildcard_ends_where_a_character_ends(word: str, label: str) -> None:
    """An m looks like rn as a whole: no part of it looks like n."""
    assert _find(word, label) is None


@pytest.mark.parametrize(
    ("word", "label", "hit"),
    (
        ("admin", "ad-min", True),
        ("admin", "ad_m.in", True),
        ("no-reply", "noreply", True),
        ("no-reply", "n\u043e.reply", True),
        ("admin*", "ad-ministrator", True),
        ("??", "a-b", True),
        ("admin-*", "adminah", False),
        ("admin-*", "admin-ah", True),
        ("??", "a-bc", False),
    ),
)
def test_words_are_squeezed_where_labels_are(word: str, label: str, hit: bool) -> None:
    """Except a word with wildcards and punctuation, which would come to mean something else."""
    assert bool(_find(word, label, squeezes=True)) == hit
    assert _find("admin", "ad-min", squeezes=False) is None


def test_of_several_words_the_one_that_is_met_is_named() -> None:
    """Among hundreds of all kinds."""
    words = [f"word{number:03}" for number in range(300)]
    words += [f"begin{number:03}*" for number in range(300)]
    words += [f"*end{number:03}" for number in range(300)]
    words += [f"*mid{number:03}x*" for number in range(300)]
    reserved = Reserved(words, squeezes=True)
    for label, word in (
        ("word017", "word017"),
        ("begin299-and", "begin299*"),
        ("at-end008", "*end008"),
        ("a-mid123x-z", "*mid123x*"),
    ):
        assert _meet(reserved, label) == Hit(word, looks_only=False)
    assert _meet(reserved, "nothing") is None


@pytest.mark.parametrize("word", ("*", "**", "?*", "\u200b", "*\u200b*", "a\0"))
def test_a_word_that_would_refuse_every_label_or_none_is_refused(word: str) -> None:
    """`?` is a wish, labels of one character; a word of stars is a mistake."""
    with pytest.raises(InvalidRequest, match=r"policy\.reserved"):
        Reserved([word], squeezes=False)


@pytest.mark.parametrize("squeezes", (False, True))
def test_many_wildcards_take_no_exponential_time(squeezes: bool) -> None:
    """A word made to hurt is told apart at once; by trying every way it would take for ever."""
    word = "*a" * 30 + "*x*b"
    reserved = Reserved([word], squeezes)
    assert _meet(reserved, "a" * 500 + "b") is None
    assert _meet(reserved, "\u0430" * 150 + "b") is None
    assert _meet(reserved, "a" * 500 + "xb") == Hit(word, looks_only=False)
    assert _meet(reserved, "\u0430" * 150 + "xb") == Hit(word, looks_only=True)


def test_words_have_no_meaning_as_regular_expressions() -> None:
    """Every ASCII punctuation character stands for itself, in every form that is compared."""
    for char in map(chr, range(0x21, 0x7F)):
        if re.match(r"\w|[*?]", char):
            continue
        reserved = Reserved([f"a{char}*", f"*{char}z", f"q{char}q"], squeezes=True)
        assert _meet(reserved, f"a{char}x")
        assert _meet(reserved, f"x{char}z")
        assert _meet(reserved, f"q{char}q")
        assert _meet(reserved, "axx") is None
