"""namestore.policy.addresses: one canonical form for what reaches one mailbox."""

from __future__ import annotations

import idna
import pytest

from namestore.errors import InvalidName, InvalidRequest
from namestore.policy.addresses import canonical_domain, email_form
from namestore.policy.refusing import Reason

PLAIN = email_form((), ())


@pytest.mark.parametrize(
    ("label", "canonical"),
    (
        ("ann@example.org", "ann@example.org"),
        ("Ann.B@Example.ORG", "ann.b@example.org"),
        ("ann+news@example.org", "ann+news@example.org"),
        ("a!#$%&'*+/=?^_`{|}~-b@x.org", "a!#$%&'*+/=?^_`{|}~-b@x.org"),
        ("a@b\u00fccher.example", "a@b\u00fccher.example"),
        ("a@xn--bcher-kva.example", "a@b\u00fccher.example"),
        ("a@XN--BCHER-KVA.example", "a@b\u00fccher.example"),
        ("a@BU\u0308CHER.example", "a@b\u00fccher.example"),
        ("a@fa\u00df.de", "a@fa\u00df.de"),
        ("a@\uff58.example\u3002org", "a@x.example.org"),
        ("a@sub.sub.x-y.co.uk", "a@sub.sub.x-y.co.uk"),
        (
            "\u0417\u043e\u044f@\u041f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444",
            "\u0437\u043e\u044f@\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444",
        ),
        ("\uff21@x.org", "a@x.org"),
        (f"{'a' * 64}@x.org", f"{'a' * 64}@x.org"),
    ),
)
def test_an_address_is_small_and_its_domain_readable(label: str, canonical: str) -> None:
    """Case means nothing; tags and dots mean what the provider makes of them, so they stay."""
    assert PLAIN(label) == canonical
    assert PLAIN(canonical) == canonical


@pytest.mark.parametrize(
    ("label", "reason"),
    (
        ("ann", Reason.BAD_FORM),
        ("@x.org", Reason.BAD_FORM),
        ("a@", Reason.BAD_FORM),
        ("a@localhost", Reason.BAD_FORM),
        ("a@[127.0.0.1]", Reason.BAD_FORM),
        ("a@127.0.0.1", Reason.BAD_FORM),
        ("a@x.org.", Reason.BAD_FORM),
        ("a@x..org", Reason.BAD_FORM),
        ("a@-x.org", Reason.BAD_FORM),
        ("a@x_y.org", Reason.BAD_FORM),
        ("a@x y.org", Reason.BAD_FORM),
        ("a@x.org\n", Reason.BAD_FORM),
        ("a@xn--a.org", Reason.BAD_FORM),
        (f"a@{'b' * 64}.org", Reason.BAD_FORM),
        (f"a@{'b.' * 126}org", Reason.BAD_FORM),
        ("a@\u2665.org", Reason.BAD_FORM),
        (".a@x.org", Reason.BAD_FORM),
        ("a.@x.org", Reason.BAD_FORM),
        ("a..b@x.org", Reason.BAD_FORM),
        ("a b@x.org", Reason.FORBIDDEN_CHARACTER),
        (" a@x.org", Reason.FORBIDDEN_CHARACTER),
        ('"a"@x.org', Reason.FORBIDDEN_CHARACTER),
        ("a(b)@x.org", Reason.FORBIDDEN_CHARACTER),
        ("a@b@x.org", Reason.FORBIDDEN_CHARACTER),
        ("a,b@x.org", Reason.FORBIDDEN_CHARACTER),
        ("<a@x.org", Reason.FORBIDDEN_CHARACTER),
        ("a\uff20b@x.org", Reason.FORBIDDEN_CHARACTER),
        ("a\u200bb@x.org", Reason.FORBIDDEN_CHARACTER),
        ("p\u0430ypal@x.org", Reason.MIXED_SCRIPTS),
        (f"{'a' * 65}@x.org", Reason.TOO_LONG),
        (f"{'a' * 64}@{'b' * 60}.{'c' * 60}.{'d' * 60}.example", Reason.TOO_LONG),
    ),
)
def test_what_is_no_address_of_the_public_mail_system_is_refused(
    label: str, reason: Reason
) -> None:
    """With the reason, in plain ASCII: quotes, comments, literals, one-word domains included."""
    with pytest.raises(InvalidName) as refused:
        PLAIN(label)
    assert refused.value.metadata["reason"] == reason
    assert refused.value.message.isascii()


def test_tags_are_dropped_only_where_asked_for() -> None:
    """In addresses of the domains named; `*` names all."""
    some = email_form(("Example.org", "b\u00fccher.example"), ())
    assert some("ann+news+x@EXAMPLE.org") == "ann@example.org"
    assert some("ann+news@xn--bcher-kva.example") == "ann@b\u00fccher.example"
    assert some("ann+news@sub.example.org") == "ann+news@sub.example.org"
    assert email_form(("*",), ())("ann+news@anywhere.net") == "ann@anywhere.net"


def test_dots_are_dropped_only_where_asked_for() -> None:
    """In addresses of the domains named, and never those of the domain itself."""
    form = email_form(("gmail.com",), ("gmail.com",))
    assert form("A.n.n+x.y@gmail.com") == "ann@gmail.com"
    assert form("a.n.n@example.org") == "a.n.n@example.org"
    assert email_form((), ("*",))("a.n.n@mail.example.org") == "ann@mail.example.org"


def test_a_tag_alone_is_no_address() -> None:
    """Nothing would be left before the @."""
    with pytest.raises(InvalidName, match="nothing but a tag"):
        email_form(("*",), ())("+news@example.org")


@pytest.mark.parametrize("field", ("email_tag_domains", "email_dotless_domains"))
def test_a_domain_in_a_policy_that_is_none_is_refused_by_its_field(field: str) -> None:
    """It could never be met."""
    domains = {"email_tag_domains": (), "email_dotless_domains": (), field: ("no domain",)}
    with pytest.raises(InvalidRequest, match=f"^policy.{field}: ") as refused:
        email_form(domains["email_tag_domains"], domains["email_dotless_domains"])
    assert refused.value.metadata["field"] == f"policy.{field}"


def test_the_short_way_for_plain_domains_agrees_with_the_library() -> None:
    """What is ASCII, without hyphens in the third and fourth place, gives the same both ways."""
    for domain in ("example.org", "EXAMPLE.org", "a.b", "x-y.co.uk", "1a.de", "a1.b2.c3d"):
        assert canonical_domain(domain) == idna.decode(idna.encode(domain, uts46=True))


def test_a_domain_that_does_not_come_back_from_the_library_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A canonical form that is none the second time would be two names."""
    monkeypatch.setattr(idna, "decode", lambda domain: "buecher.example")
    with pytest.raises(InvalidName, match="no one canonical form"):
        PLAIN("a@b\u00fccher.example")
