"""The commands as values. What they may hold is checked where they become bytes, in `codec`."""

from __future__ import annotations

from namestore.core.value import value

# A kind (see `namestore.core.policies.KeyKind`) and the key itself, without its namespace.
UniqueKey = tuple[int, str]


@value
class Judgement:
    """What a policy says of a name, found before the log.

    Attributes:
        version: Of the policy, as `NamespaceState` has it.
        keys: What else that policy demands to be unique, in any order, none twice.
    """

    version: int
    keys: tuple[UniqueKey, ...] = ()


@value
class Wanted:
    """One name that is asked for.

    Attributes:
        name: Canonical.
        display_name: What the caller wrote; empty means: just that.
        owner: Opaque.
        payload: Opaque.
        judged: Under the namespace's policy, and under its pending one; at most one of a version.
            A namespace without either needs none.
        ttl_ms: None: for good. Otherwise a reservation of so many milliseconds, at most as the
            policy allows; 0: as long as the policy says.
    """

    name: str
    display_name: str
    owner: str
    payload: bytes = b""
    judged: tuple[Judgement, ...] = ()
    ttl_ms: int | None = None


@value
class Register:
    """Take a name if it is free."""

    request_id: bytes
    wanted: Wanted


@value
class RegisterEach:
    """Take each of these names that is free: as many registers, written as one.

    Attributes:
        request_id: Of the whole; see `members` for those of the names.
        names: Canonical, and what the caller wrote. The same name twice is asked for twice.
        owner: Of each.
        payload: Of each.
    """

    request_id: bytes
    names: tuple[str, ...]
    owner: str
    payload: bytes = b""


@value
class RegisterAll:
    """Take all of these names, or none. The names differ from each other."""

    request_id: bytes
    wanted: tuple[Wanted, ...]


@value
class RegisterTogether:
    """A `RegisterAll` whose names differ in nothing else, written once.

    Attributes:
        request_id: Of the request.
        names: Canonical, and what the caller wrote. They differ from each other.
        owner: Of each.
        payload: Of each.
    """

    request_id: bytes
    names: tuple[str, ...]
    owner: str
    payload: bytes = b""


@value
class Release:
    """Give a name back. `create_revision` 0: whichever holding of this owner it is."""

    request_id: bytes
    name: str
    owner: str
    create_revision: int = 0


@value
class Confirm:
    """Make a reservation permanent. Of a permanent name it changes nothing, and is answered so."""

    request_id: bytes
    name: str
    owner: str
    create_revision: int = 0


@value
class Update:
    """Change what belongs to a name. None: unchanged."""

    request_id: bytes
    name: str
    owner: str
    payload: bytes | None = None
    new_owner: str | None = None
    create_revision: int = 0


@value
class Rename:
    """Take one name and let go of another, in one step. Payload and reservation go along.

    Attributes:
        request_id: Of this request.
        from_name: Canonical; held by `owner`.
        to_name: Canonical.
        display_name: What the caller wrote for the new name; empty means: just that.
        owner: Of both.
        judged: The new name, as in `Wanted`.
        create_revision: Of the holding of `from_name`; 0: whichever it is.
    """

    request_id: bytes
    from_name: str
    to_name: str
    display_name: str
    owner: str
    judged: tuple[Judgement, ...] = ()
    create_revision: int = 0


@value
class ExpireItem:
    """A reservation whose time is up; let be if it is another one by now."""

    name: str
    create_revision: int
    expire_time_ms: int


@value
class Expire:
    """Free what has expired. Proposed by the leader; may come twice, so it has no request_id."""

    items: tuple[ExpireItem, ...]


@value
class PutNamespace:
    """Give a namespace a policy: at once if no name needs judging, otherwise pending.

    Attributes:
        request_id: Of this request.
        namespace: Whose.
        policy: Encoded, see `namestore.core.policies`.
        expected_version: Of the policy in force, which this one replaces; 0: there is none.
    """

    request_id: bytes
    namespace: str
    policy: bytes
    expected_version: int


@value
class IndexNames:
    """Carry a pending policy over names that exist. May come twice, so it has no request_id.

    Attributes:
        namespace: Whose.
        version: Of the pending policy.
        names: Canonical names, each judged valid and unchanged under it, with its unique keys.
    """

    namespace: str
    version: int
    names: tuple[tuple[str, tuple[UniqueKey, ...]], ...]


@value
class AbandonPolicy:
    """Drop a pending policy; the one in force stays."""

    request_id: bytes
    namespace: str
    version: int


@value
class KeepEvents:
    """How far back the change feed reaches: whichever bound is met first.

    Attributes:
        request_id: Of this request.
        count_max: Events; at least 1. Somewhat more are kept.
        age_ms_max: Milliseconds of log time; at least 1.
    """

    request_id: bytes
    count_max: int
    age_ms_max: int


Command = (
    Register
    | RegisterEach
    | RegisterAll
    | RegisterTogether
    | Release
    | Confirm
    | Update
    | Rename
    | Expire
    | PutNamespace
    | IndexNames
    | AbandonPolicy
    | KeepEvents
)
