"""namestore.policy.tables: the packaged data is what it claims to be."""

from __future__ import annotations

import sys
import unicodedata
from hashlib import sha256
from importlib import metadata, resources

import pytest

from namestore.errors import InvariantViolation
from namestore.policy import tables
from namestore.policy.scripts import script_mask, script_name


def test_the_packaged_tables_are_the_pinned_ones() -> None:
    """Version and checksum of both, and their licence beside them."""
    confusables = tables._text("confusables.txt", packed=True)
    assert f"# Version: {tables.CONFUSABLES_VERSION}" in confusables
    assert f"# total: {len(tables.prototypes())}" in confusables
    assert f"# Version: {tables.CONFUSABLES_VERSION}" in tables._text("properties.txt")
    assert sha256(confusables.encode()).hexdigest() == tables.SHA256["confusables.txt"]
    licence = resources.files("namestore.policy").joinpath("data", "LICENSE-UNICODE.txt")
    assert "SPDX-License-Identifier: Unicode-3.0" in licence.read_text(encoding="utf-8")


def test_a_table_of_other_bytes_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node with a damaged or exchanged table stops rather than give look-alikes away."""
    monkeypatch.setattr(tables, "_packaged", lambda name: b"0061 ;\t0062 ;\tMA\n")
    with pytest.raises(InvariantViolation, match=r"properties\.txt"):
        tables._text("properties.txt")


def test_the_version_names_everything_a_judgement_rests_on() -> None:
    """One line for the log."""
    version = tables.tables_version()
    assert f"rules {tables.RULES_VERSION};" in version
    assert f"python-unicode {unicodedata.unidata_version};" in version
    assert f"precis-i18n {metadata.version('precis-i18n')};" in version
    assert f"idna {metadata.version('idna')};" in version
    assert version.endswith(f"confusables {tables.CONFUSABLES_VERSION}")


def test_every_character_that_python_knows_has_a_script() -> None:
    """The table of scripts covers what can reach it, while Python's is not the newer one."""
    if tuple(map(int, unicodedata.unidata_version.split("."))) > (16, 0, 0):
        pytest.skip("this Python knows characters that the table does not")
    without = [
        hex(code_point)
        for code_point in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code_point)) not in {"Cn", "Cs", "Co"}
        and not script_mask.__wrapped__(chr(code_point))
    ]
    assert without == []


@pytest.mark.parametrize(
    ("char", "name"),
    (
        ("a", "Latin"),
        ("\u0430", "Cyrillic"),
        ("\u03b1", "Greek"),
        ("\u6f22", "Han"),
        ("\uac00", "Hangul"),
        ("1", "Common"),
        ("-", "Common"),
        ("\u0378", "no script"),
    ),
)
def test_a_script_is_known_by_its_name(char: str, name: str) -> None:
    """For messages."""
    assert script_name(char) == name


def test_words_are_read_one_on_a_line() -> None:
    """Comments and empty lines do not count; each word once, sorted."""
    assert tables.read_words("b # so\n\n# no\n  a*\r\nb\n") == ("a*", "b")


def test_the_shipped_words_are_there() -> None:
    """Those of RFC 2142 and the paths and roles that every site has."""
    words = set(tables.shipped_words())
    rfc_2142 = "info marketing sales support abuse noc security postmaster hostmaster usenet news"
    assert words >= {*rfc_2142.split(), "webmaster", "www", "uucp", "ftp"}
    assert words >= {"admin", "root", "api", "login", "null", "xn--*", "*-admin"}
    assert all(word == word.lower() and " " not in word for word in words)
