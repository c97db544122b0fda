"""The canonical form of an e-mail address: one form for what reaches one mailbox, mostly.

`local@domain`. The domain is made small and brought to the form in which people read it (IDNA 2008
after UTS #46, non-transitional: `xn--bcher-kva.example` is `bücher.example`). The local part is
made small too. RFC 5321 leaves its case to the receiving host, but no provider of note keeps
`Ann@` apart from `ann@`, and sites that did gave one person two accounts. Quoted local parts,
comments, address literals and domains of one label are refused: they do not occur in sign-ups, and
each is a second way to write the same address. A local part that is not ASCII (RFC 6531) is judged
as a username is.

Providers differ in what else means nothing, so nothing else is dropped unless a policy names the
domains: `+` and what follows it (`email_tag_domains`), and dots (`email_dotless_domains`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import idna

from namestore.core.policies import EVERY_DOMAIN
from namestore.errors import InvalidName, InvalidRequest
from namestore.policy.profiles import canonical_username
from namestore.policy.refusing import Reason, invalid, invalid_character, shown

LOCAL_BYTES_MAX = 64  # RFC 5321, 4.5.3.1.1
ADDRESS_BYTES_MAX = 254  # RFC 5321, 4.5.3.1.3: a path of 256 with its < and >

# RFC 5322, 3.2.3: atext.
_LOCAL_CHARS = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_LOCAL_STRANGER = re.compile(rf"[^{_LOCAL_CHARS}.\x80-\U0010ffff]")
_LOCAL_RULE = "write the address as local@domain, without spaces, quotes or comments"

_DOMAIN_LABEL = r"(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_TOP_LABEL = r"(?!xn--)[a-z][a-z0-9-]{0,61}[a-z0-9]"
_PLAIN_DOMAIN = re.compile(rf"(?=.{{4,253}}\Z)(?:{_DOMAIN_LABEL}\.)+{_TOP_LABEL}")

EmailForm = Callable[[str], str]


def email_form(tag_domains: Iterable[str], dotless_domains: Iterable[str]) -> EmailForm:
    """The function that brings addresses to the canonical form of one policy.

    Args:
        tag_domains: Domains in whose local parts `+` and what follows it is dropped; `*`: all.
        dotless_domains: Domains in whose local parts dots are dropped; `*`: all.

    Returns:
        A function of a label; it raises `InvalidName` for what is no address.

    Raises:
        InvalidRequest: One of the domains is none.
    """
    tagging = _domains("policy.email_tag_domains", tag_domains)
    dotless = _domains("policy.email_dotless_domains", dotless_domains)

    def canonical_email(label: str) -> str:
        local, at, domain = label.rpartition("@")
        if not at:
            raise invalid(Reason.BAD_FORM, f"{shown(label)} has no @; {_LOCAL_RULE}")
        domain = canonical_domain(domain)
        local = _canonical_local(local)
        if tagging & {domain, EVERY_DOMAIN}:
            local = local.partition("+")[0]
        if dotless & {domain, EVERY_DOMAIN}:
            local = local.replace(".", "")
        canonical = f"{local}@{domain}"
        if not local:
            raise invalid(Reason.BAD_FORM, f"{shown(label)} has nothing but a tag before the @")
        if len(canonical.encode()) > ADDRESS_BYTES_MAX:
            raise invalid(
                Reason.TOO_LONG,
                f"{shown(label)} has more than {ADDRESS_BYTES_MAX} bytes, the most an address may",
            )
        return canonical

    return canonical_email


def canonical_domain(domain: str) -> str:
    """The domain in small letters, as people read it.

    Raises:
        InvalidName: Not the domain of an address.
    """
    if domain.isascii() and _PLAIN_DOMAIN.fullmatch(small := domain.lower()):
        return small
    if domain.startswith("[") or "." not in domain:
        raise invalid(
            Reason.BAD_FORM,
            f"{shown(domain)} is not a domain with a dot in it, such as example.org",
        )
    try:
        encoded = idna.encode(domain, uts46=True).decode()
        readable = idna.decode(encoded)
        if encoded.endswith(".") or encoded.rpartition(".")[2].isdigit() or len(encoded) > 253:
            raise idna.IDNAError("it does not name a host of the public mail system")
        if idna.encode(readable).decode() != encoded:
            raise idna.IDNAError("it has no one canonical form")
    except (idna.IDNAError, UnicodeError) as error:
        finding = f"{shown(domain)} is not a domain: {_plain(error)}"
        raise invalid(Reason.BAD_FORM, finding) from error
    return readable


def _canonical_local(local: str) -> str:
    if not local:
        raise invalid(Reason.BAD_FORM, f"there is nothing before the @; {_LOCAL_RULE}")
    if stranger := _LOCAL_STRANGER.search(local):
        raise invalid_character(local, stranger.start(), _LOCAL_RULE)
    canonical = canonical_username(local) if not local.isascii() else local.lower()
    # Once more: a wide @ or quote was none before it was mapped.
    if stranger := _LOCAL_STRANGER.search(canonical):
        raise invalid_character(canonical, stranger.start(), _LOCAL_RULE)
    if not all(canonical.split(".")):
        finding = "has a dot first, last, or beside another, before the @"
        raise invalid(Reason.BAD_FORM, f"{shown(canonical)} {finding}")
    if len(canonical.encode()) > LOCAL_BYTES_MAX:
        raise invalid(
            Reason.TOO_LONG,
            f"{shown(local)} has more than {LOCAL_BYTES_MAX} bytes, the most that may stand "
            "before the @",
        )
    return canonical


def _domains(field: str, domains: Iterable[str]) -> set[str]:
    found = set()
    for domain in domains:
        try:
            found.add(domain if domain == EVERY_DOMAIN else canonical_domain(domain))
        except InvalidName as error:
            raise InvalidRequest(f"{field}: {error.message}", field=field) from error
    return found


def _plain(error: Exception) -> str:
    """What a library says, as one line of ASCII."""
    return ascii(str(error))[1:-1]
