"""namestore.policy.skeletons: what looks alike, by Unicode's own table."""

from __future__ import annotations

import gzip
import unicodedata
from importlib import resources

import pytest

from namestore.policy.skeletons import SKELETON_GROWTH_MAX, skeleton, units
from namestore.policy.tables import properties, prototypes


def _confusable_lines() -> list[tuple[str, str]]:
    """Source and target of every line of the packaged table, read apart from the code's reader."""
    packed = resources.files("namestore.policy").joinpath("data", "confusables.txt.gz").read_bytes()
    found = []
    for line in gzip.decompress(packed).decode().splitlines():
        columns = line.partition("#")[0].split(";")
        if len(columns) >= 3:
            source, target = (
                "".join(chr(int(code, 16)) for code in column.split()) for column in columns[:2]
            )
            found.append((source, target))
    return found


def test_every_line_of_the_confusables_makes_look_alikes() -> None:
    """UTS #39's data as test input: the skeleton of each source is that of its target.

    By the standard's own algorithm a few lines speak for nothing: a source that decomposes is
    replaced part by part, and what a prototype decomposes into is not replaced once more.
    """
    lines = _confusable_lines()
    assert len(lines) == 6355
    apart = [line for line in lines if skeleton(line[0]) != skeleton(line[1])]
    assert len(apart) < 40
    for source, target in apart:
        decomposes = unicodedata.normalize("NFD", source) != source
        assert decomposes or skeleton(skeleton(source)) == skeleton(target)


@pytest.mark.parametrize(
    ("one", "other"),
    (
        ("paypal", "p\u0430yp\u0430l"),  # two Cyrillic letters
        ("paypal", "\u0440\u0430\u0443\u0440\u0430\u04c0"),  # all Cyrillic
        ("paypal", "\u0440\u0430\u0443\u0440\u04301"),  # all Cyrillic, and a digit
        ("paypal", "paypa1"),
        ("paypal", "paypaI"),
        ("paypal", "paypa|"),
        ("scope", "\u0455\u0441\u043e\u0440\u0435"),  # all Cyrillic
        ("modern", "rnodern"),
        ("O", "0"),
        ("zo\u00e9", "zoe\u0301"),
        ("zo\u00e9", "zoe\u0301\u200b"),  # with a space of no width
        ("ab", "a\u00adb"),  # with a soft hyphen
        ("ab", "a\ufe0fb"),  # with a variation selector
        ("\u03bf", "o"),  # Greek
        ("\U0001d5ba", "a"),  # mathematical
        ("\u0585", "o"),  # Armenian
    ),
)
def test_look_alikes_have_one_skeleton(one: str, other: str) -> None:
    """Within a script, between scripts, and of whole words; invisible characters do not count."""
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"),
    (("paypal", "paypol"), ("o", "0"), ("a", "\u00e4"), ("rn", "nr"), ("i", "l"), ("b", "d")),
)
def test_what_the_table_keeps_apart_stays_apart(one: str, other: str) -> None:
    """Nothing is invented: a small o is no zero, and an umlaut no bare letter."""
    assert skeleton(one) != skeleton(other)


def test_plain_ascii_has_the_skeleton_that_the_table_gives() -> None:
    """The short way for ASCII and the long way agree, for each character and for all at once."""
    replacements = {ord(char): prototype for char, prototype in prototypes().items()}
    for text in (*map(chr, range(128)), "".join(map(chr, range(128)))):
        expected = unicodedata.normalize("NFD", text.translate(replacements))
        assert skeleton(text) == expected


def test_units_tell_where_each_character_ends() -> None:
    """What is invisible is no unit; an m is one, though it looks like two letters."""
    assert units("am\u200b1") == "a\0rn\0l\0"


def test_a_skeleton_grows_within_its_stated_bound() -> None:
    """No character's skeleton has more than twelve times its bytes, in NFD or composed."""
    chars = {*prototypes(), *map(chr, range(0xA0, 0x3000)), *map(chr, range(0xAC00, 0xD7A4, 7))}
    growth = max(len(skeleton(char).encode()) / len(char.encode()) for char in chars)
    assert 1 < growth <= SKELETON_GROWTH_MAX


def test_invisible_characters_have_an_empty_skeleton() -> None:
    """Every Default_Ignorable_Code_Point, at both ends of each run."""
    for first, last in properties().ignorable_runs:
        assert skeleton(chr(first)) == skeleton(chr(last)) == ""
