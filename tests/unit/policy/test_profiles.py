"""namestore.policy.profiles: the canonical forms exact, slug and username."""

from __future__ import annotations

import gzip
import json
import sys
import unicodedata
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import precis_i18n
import pytest

from namestore.core.names import canonical_name
from namestore.errors import InvalidName
from namestore.policy.profiles import canonical_exact, canonical_slug, canonical_username
from namestore.policy.refusing import Reason
from namestore.policy.scripts import mixes_scripts

# From the source distribution of precis-i18n 1.1.2, unchanged; its licence stands beside it.
VECTORS = Path(__file__).parent / "data" / "precis-1.1.2-golden.json.gz"
VECTORS_SHA256 = "266dc48fd6584d2e1ab68538d74dbec2e7d34cf8e06e97a1b1d6693a4c830458"


def _reason(refused: pytest.ExceptionInfo[InvalidName]) -> str:
    return refused.value.metadata["reason"]


def _username_vectors() -> Iterator[dict[str, Any]]:
    data = gzip.decompress(VECTORS.read_bytes())
    assert sha256(data).hexdigest() == VECTORS_SHA256
    known = float(unicodedata.unidata_version.rpartition(".")[0])
    for entry in json.loads(data):
        newer = entry.get("unicode_version", 0) > known
        if entry["profile"] == "UsernameCaseMapped" and not newer:
            yield entry


# -- exact ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ("Alice", "a b", "zoe\u0301", "\u212b", "a:b", "~", "\U0001f600"))
def test_exact_is_the_form_of_a_name_without_policy(label: str) -> None:
    """A namespace with the profile `exact` has the names it had without a policy."""
    assert f"x:{canonical_exact(label)}" == canonical_name(f"x:{label}")


@pytest.mark.parametrize(
    ("label", "reason"),
    (
        ("a\nb", Reason.FORBIDDEN_CHARACTER),
        ("a\x7f", Reason.FORBIDDEN_CHARACTER),
        ("\ud800", Reason.FORBIDDEN_CHARACTER),
        ("\u0378", Reason.FORBIDDEN_CHARACTER),
        ("\u00e9" * 257, Reason.TOO_LONG),
    ),
)
def test_exact_refuses_what_no_name_may_hold(label: str, reason: Reason) -> None:
    """Control, unassigned and surrogate code points, and more than 512 bytes."""
    with pytest.raises(InvalidName) as refused:
        canonical_exact(label)
    assert _reason(refused) == reason


# -- slug ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "canonical"),
    (
        ("hello", "hello"),
        ("Hello-World", "hello-world"),
        ("a-1-b", "a-1-b"),
        ("7", "7"),
        ("2026-11-20", "2026-11-20"),
    ),
)
def test_slug_makes_capital_letters_small(label: str, canonical: str) -> None:
    """Nothing else of a slug is changed."""
    assert canonical_slug(label) == canonical


@pytest.mark.parametrize(
    ("label", "reason", "said"),
    (
        ("-a", Reason.BAD_FORM, "a hyphen first"),
        ("a-", Reason.BAD_FORM, "a hyphen last"),
        ("-", Reason.BAD_FORM, "a hyphen first"),
        ("a--b", Reason.BAD_FORM, "two hyphens in a row at position 2"),
        ("a b", Reason.FORBIDDEN_CHARACTER, "a space at position 2"),
        ("a_b", Reason.FORBIDDEN_CHARACTER, "'_' at position 2"),
        ("a\n", Reason.FORBIDDEN_CHARACTER, "U+000A"),
        ("zo\u00e9", Reason.FORBIDDEN_CHARACTER, "LATIN SMALL LETTER E WITH ACUTE"),
        ("\u212a", Reason.FORBIDDEN_CHARACTER, "KELVIN SIGN"),
        ("\uff11", Reason.FORBIDDEN_CHARACTER, "FULLWIDTH DIGIT ONE"),
        ("\u0130", Reason.FORBIDDEN_CHARACTER, "DOT ABOVE"),
    ),
)
def test_slug_refuses_the_rest_and_says_where(label: str, reason: Reason, said: str) -> None:
    """No accent is dropped and no space replaced: nobody gets a slug that they did not write.

    Letters that only become ASCII when they are made small are refused too.
    """
    with pytest.raises(InvalidName) as refused:
        canonical_slug(label)
    assert _reason(refused) == reason
    assert said in refused.value.message


# -- username ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "canonical"),
    (
        # RFC 8265, 3.5, table 1: what a username may be.
        ("juliet@example.com", "juliet@example.com"),
        ("fussball", "fussball"),
        ("fu\u00dfball", "fu\u00dfball"),
        ("\u03c0", "\u03c0"),
        ("\u03a3", "\u03c3"),
        ("\u03c3", "\u03c3"),
        ("\u03c2", "\u03c2"),
        # Case, width and normalisation.
        ("Juliet", "juliet"),
        ("\uff2a\uff55\uff4c\uff49\uff45\uff54", "juliet"),
        ("zoe\u0301", "zo\u00e9"),
        ("ZOE\u0301", "zo\u00e9"),
        ("\u212aelvin", "kelvin"),
        ("a!#$%&'()*+,-./:;<=>?@[]^_`{|}~", "a!#$%&'()*+,-./:;<=>?@[]^_`{|}~"),
    ),
)
def test_username_has_the_canonical_form_of_rfc_8265(label: str, canonical: str) -> None:
    """UsernameCaseMapped: width, then case, then NFC."""
    assert canonical_username(label) == canonical


@pytest.mark.parametrize(
    ("label", "reason"),
    (
        # RFC 8265, 3.5, table 2: what it may not be.
        ("foo bar", Reason.FORBIDDEN_CHARACTER),
        ("henry\u2163", Reason.FORBIDDEN_CHARACTER),
        ("\u265a", Reason.FORBIDDEN_CHARACTER),
        # And what people try.
        (" a", Reason.FORBIDDEN_CHARACTER),
        ("a\u00a0b", Reason.FORBIDDEN_CHARACTER),
        ("a\u200bb", Reason.FORBIDDEN_CHARACTER),
        ("a\u200db", Reason.FORBIDDEN_CHARACTER),
        ("a\u202eb", Reason.FORBIDDEN_CHARACTER),
        ("a\u00adb", Reason.FORBIDDEN_CHARACTER),
        ("a\x00", Reason.FORBIDDEN_CHARACTER),
        ("\U0001f600", Reason.FORBIDDEN_CHARACTER),
        ("\u017f", Reason.FORBIDDEN_CHARACTER),
        ("\ufb01", Reason.FORBIDDEN_CHARACTER),
        ("\u2474", Reason.FORBIDDEN_CHARACTER),
        ("\ud800", Reason.FORBIDDEN_CHARACTER),
        ("\u0378", Reason.FORBIDDEN_CHARACTER),
        ("\u05d0*", Reason.BAD_FORM),
        ("\u05d0a", Reason.BAD_FORM),
        ("a\u05d0", Reason.BAD_FORM),
    ),
)
def test_username_refuses_what_rfc_8265_does(label: str, reason: Reason) -> None:
    """Spaces, invisible characters, symbols, compatibility variants, mixed directions."""
    with pytest.raises(InvalidName) as refused:
        canonical_username(label)
    assert _reason(refused) == reason
    assert refused.value.message.isascii()


def test_the_short_way_for_ascii_agrees_with_the_precis_library() -> None:
    """Each ASCII character, alone and in words."""
    precis = precis_i18n.get_profile("UsernameCaseMapped")
    for char in map(chr, range(128)):
        for label in (char, f"a{char}", f"{char}B", f"1{char}{char}z"):
            try:
                expected = precis.enforce(label)
            except UnicodeEncodeError:
                with pytest.raises(InvalidName):
                    canonical_username(label)
            else:
                assert canonical_username(label) == expected


def test_username_agrees_with_the_vectors_of_the_precis_library() -> None:
    """Each vector gives its output or is refused; what mixes scripts is refused besides."""
    count = 0
    for entry in _username_vectors():
        label = entry["input"]
        expected = entry["output"]
        if not label:
            continue
        if expected is not None and not mixes_scripts(expected):
            assert canonical_username(label) == expected
        else:
            with pytest.raises(InvalidName):
                canonical_username(label)
        count += 1
    assert count > 250


@pytest.mark.parametrize(
    "label",
    (
        "paypal",
        "\u0437\u043e\u044f",  # Cyrillic
        "\u6f22\u5b57kana",  # Han and Latin
        "\u6f22\u5b57\u304b\u306a\u30ab\u30ca",  # Japanese
        "nihongo\u65e5\u672c\u30ab\u30ca",  # Japanese and Latin
        "seoul\uc11c\uc6b8\u6f22",  # Korean and Latin
        "\u6f22\u3105bpmf",  # Bopomofo and Latin
        "\u0437\u043e\u044f-17",  # digits go with everything
        "\u05d0\u05d1",  # Hebrew
        "\u0627\u0644\u06cc",  # Arabic
    ),
)
def test_username_may_be_of_one_script_or_of_latin_with_east_asian_ones(label: str) -> None:
    """UTS #39, highly restrictive: what people write together may stand together."""
    assert canonical_username(label) == unicodedata.normalize("NFC", label)


@pytest.mark.parametrize(
    ("label", "said"),
    (
        ("p\u0430ypal", "Latin with Cyrillic: U+0430 (CYRILLIC SMALL LETTER A) at position 2"),
        ("\u0430dmin", "Cyrillic with Latin: 'd' at position 2"),
        ("g\u03bfogle", "Latin with Greek"),
        ("\u0430\u0501\u0578", "Cyrillic with Armenian"),
        ("a\u0e01", "Latin with Thai"),
        ("\u3105\u304b", "Bopomofo with Hiragana"),
        ("1\u0430b", "Cyrillic with Latin: 'b' at position 3"),
    ),
)
def test_username_does_not_mix_other_scripts(label: str, said: str) -> None:
    """A letter of another script inside a word is how most impersonations are made."""
    with pytest.raises(InvalidName) as refused:
        canonical_username(label)
    assert _reason(refused) == Reason.MIXED_SCRIPTS
    assert said in refused.value.message


def test_every_character_that_is_mapped_is_canonical_after_one_step() -> None:
    """Over all code points that case or normalisation changes: a fixed point, in lower case."""
    count = 0
    for char in map(chr, range(sys.maxunicode + 1)):
        if char.lower() == char and unicodedata.normalize("NFKC", char) == char:
            continue
        try:
            canonical = canonical_username(char)
        except InvalidName:
            continue
        count += 1
        assert canonical_username(canonical) == canonical
        assert canonical == canonical.lower()
    assert count > 1_000
