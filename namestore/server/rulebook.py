"""Names judged by their namespace's policies, before the log.

The policies are read from a picture of the state with every request, so none is ever out of date
but as the picture is; what takes long, making a policy ready to judge, is `judges'`. The core has
the last word: what was judged under another policy than the one in force then, it hands back.

Invariants: a namespace without a policy costs nothing here but the look whether there is one; what
is judged keeps the words of its caller, so that a retry is recognised whatever policy it meets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from namestore.core.commands import (
    Command,
    Confirm,
    Judgement,
    Register,
    RegisterAll,
    Release,
    Rename,
    Update,
    Wanted,
)
from namestore.core.limits import UNIQUE_KEY_CHARS_MAX
from namestore.core.namespaces import NamespaceState, namespace_of
from namestore.core.reading import namespace_state
from namestore.errors import InvalidName
from namestore.policy import Judge, Judged, Reason, Refusal
from namestore.rpc.requests import check_distinct
from namestore.rpc.responses import Unfit
from namestore.server import judges
from namestore.storage.interfaces import StateView

# Beyond it a key has no place in a command: some characters look like a dozen others.
_KEY_CHARS_MAX = UNIQUE_KEY_CHARS_MAX // 4


def judge_label(judge: Judge, label: str) -> Judged | Refusal:
    """As `judge.judge`; a label whose keys are too long to be kept is refused as well."""
    judged = judge.judge(label)
    if isinstance(judged, Judged) and any(len(key) > _KEY_CHARS_MAX for _, key in judged.keys):
        return Refusal(
            Reason.TOO_LONG,
            f"what the label looks like has more than {_KEY_CHARS_MAX} characters; write a shorter",
        )
    return judged


@dataclass(frozen=True, slots=True)
class Rules:
    """What a namespace demands of a name just now.

    Attributes:
        version: Of the policy in force; 0: there is none.
        in_force: Its judge.
        pending_version: Of the policy that is being put in force; 0: there is none.
        pending: Its judge.
    """

    version: int
    in_force: Judge | None
    pending_version: int
    pending: Judge | None

    def canonical(self, label: str) -> str:
        """How a name that exists is stored; the label itself where no name can be so spelled."""
        if self.in_force is None:
            return label
        try:
            return self.in_force.canonical(label)
        except InvalidName:
            return label

    def judge(self, plain: str, original: str) -> tuple[str, tuple[Judgement, ...]] | Refusal:
        """The canonical label and the judgements it needs, or why it may not be registered.

        Args:
            plain: The label in NFC, which is canonical where no policy is in force.
            original: As the caller wrote it.
        """
        canonical, judgements = plain, []
        if self.in_force is not None:
            judged = judge_label(self.in_force, original)
            if isinstance(judged, Refusal):
                return judged
            canonical = judged.canonical
            judgements.append(Judgement(self.version, judged.keys))
        if self.pending is not None:
            judged = judge_label(self.pending, original)
            if isinstance(judged, Refusal):
                return judged
            if judged.canonical != canonical:
                return Refusal(
                    Reason.BAD_FORM,
                    "a new policy is being put in force, under which this name is spelled "
                    f"{judged.canonical!a}; write it so",
                )
            judgements.append(Judgement(self.pending_version, judged.keys))
        return canonical, tuple(judgements)


Rulebook = dict[str, Rules]


def rulebook(view: StateView, names: Iterable[str]) -> Rulebook:
    """The rules of the namespaces of these names, as far as they have any.

    Raises:
        NotAtHand: A judge is to be made first, in a thread.
    """
    if not view.meta.namespace_count:
        return {}
    found: Rulebook = {}
    for namespace in set(map(namespace_of, names)):
        space = namespace_state(view, namespace)
        if space.judges:
            found[namespace] = _rules(space)
    return found


def canonical_name(book: Rulebook, name: str) -> str:
    """How a name that exists is stored, from its form in NFC."""
    namespace, _, label = name.partition(":")
    rules = book.get(namespace)
    return name if rules is None else f"{namespace}:{rules.canonical(label)}"


def names_in(commands: Iterable[Command]) -> list[str]:
    """The names that commands of callers speak of, in NFC."""
    names: list[str] = []
    for command in commands:
        match command:
            case Register():
                names.append(command.wanted.name)
            case RegisterAll():
                names.extend(wanted.name for wanted in command.wanted)
            case Rename():
                names += (command.from_name, command.to_name)
            case Release() | Confirm() | Update():
                names.append(command.name)
            case _:
                continue
    return names


def judged(book: Rulebook, command: Command, revision: int) -> Command | Unfit:
    """The command as it may be proposed, or why not.

    Raises:
        InvalidRequest: Two of its names are one under the policy.
    """
    match command:
        case Register():
            wanted = _judged_wanted(book, command.wanted)
            if isinstance(wanted, Refusal):
                return Unfit((wanted,), revision)
            return Register(command.request_id, wanted)
        case RegisterAll():
            return _judged_all(book, command, revision)
        case Rename():
            return _judged_rename(book, command, revision)
        case Release() | Confirm() | Update():
            return replace(command, name=canonical_name(book, command.name))
        case _:
            return command


def _rules(space: NamespaceState) -> Rules:
    return Rules(
        space.version,
        judges.at_hand(space.policy) if space.version else None,
        space.pending_version,
        judges.at_hand(space.pending) if space.pending_version else None,
    )


def _judged_wanted(book: Rulebook, wanted: Wanted) -> Wanted | Refusal:
    namespace, _, label = wanted.name.partition(":")
    rules = book.get(namespace)
    if rules is None:
        return wanted
    judged = rules.judge(label, wanted.display_name.partition(":")[2] or label)
    if isinstance(judged, Refusal):
        return judged
    canonical, judgements = judged
    # Made anew, field by field: most of what this costs would be `dataclasses.replace`.
    return Wanted(
        f"{namespace}:{canonical}",
        wanted.display_name,
        wanted.owner,
        wanted.payload,
        judgements,
        wanted.ttl_ms,
    )


def _judged_all(book: Rulebook, command: RegisterAll, revision: int) -> RegisterAll | Unfit:
    judged = [_judged_wanted(book, wanted) for wanted in command.wanted]
    if any(isinstance(item, Refusal) for item in judged):
        reasons = (item if isinstance(item, Refusal) else None for item in judged)
        return Unfit(tuple(reasons), revision)
    fit = tuple(item for item in judged if isinstance(item, Wanted))
    check_distinct([wanted.name for wanted in fit], "requests[{}].name")
    return replace(command, wanted=fit)


def _judged_rename(book: Rulebook, command: Rename, revision: int) -> Rename | Unfit:
    from_name = canonical_name(book, command.from_name)
    asked = Wanted(command.to_name, command.display_name, command.owner)
    wanted = _judged_wanted(book, asked)
    if isinstance(wanted, Refusal):
        return Unfit((wanted,), revision)
    return replace(command, from_name=from_name, to_name=wanted.name, judged=wanted.judged)
