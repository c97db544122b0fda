"""namestore.policy.folding: labels without regard to case and punctuation."""

from __future__ import annotations

import pytest

from namestore.policy.folding import fold, squeeze, without_punctuation


@pytest.mark.parametrize(
    ("one", "other"),
    (
        ("Alice", "ALICE"),
        ("stra\u00dfe", "STRASSE"),
        ("\u03a3", "\u03c2"),
        ("zo\u00c9", "zoe\u0301"),
        ("\u212a", "k"),
        ("\u0345", "\u03b9"),
        ("\u03b1\u0345\u0301", "\u03b1\u0301\u0345"),  # canonically equivalent
    ),
)
def test_case_and_composition_mean_nothing(one: str, other: str) -> None:
    """Unicode's canonical caseless matching."""
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    (
        ("foo-bar", "foo_bar"),
        ("foo-bar", "foo.bar"),
        ("foo-bar", "foobar"),
        ("foo--bar", "foo-.-bar"),
        ("Foo-Bar", "foobar"),
        ("-foo-", "foo"),
        ("-", "..."),
        ("zo\u00c9-1", "zoe\u03011"),
    ),
)
def test_squeezed_labels_differ_in_more_than_punctuation(one: str, other: str) -> None:
    """npm's rule, and PyPI's for new projects: case, `-`, `_` and `.` mean nothing."""
    assert squeeze(one) == squeeze(other)


@pytest.mark.parametrize(("one", "other"), (("a", "b"), ("a+b", "ab"), ("a", "-"), ("a b", "ab")))
def test_nothing_else_is_squeezed(one: str, other: str) -> None:
    """And a label of punctuation alone is like others of its kind only."""
    assert squeeze(one) != squeeze(other)


def test_punctuation_is_dropped_and_case_kept() -> None:
    """For what a label looks like as it was given."""
    assert without_punctuation("Foo-Bar_1.x") == "FooBar1x"
    assert without_punctuation("._-") == "-"
