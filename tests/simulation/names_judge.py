"""The judge of what callers of the whole API heard: every answer is the model's.

`names_model` says how every request fared and how every name stood. Here that is compared with what
was heard, write by write and read by read, and with real time: whoever asks sees all that anybody
was told before. Nothing is in the log that nobody asked for, and nothing that was called certainly
not done. Independent of the code under test, but for the bytes of the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from namestore.core.commands import AbandonPolicy, Expire, IndexNames, KeepEvents
from namestore.core.policies import Profile
from namestore.errors import NamestoreError
from namestore.v1 import namespaces_pb2 as ns
from namestore.v1 import registry_pb2 as pb
from tests.properties.registry_model import Space
from tests.simulation import names_told as told
from tests.simulation.names_asked import Asked, shown, wished, wishes
from tests.simulation.names_model import Ledger
from tests.simulation.watch import Violation

_OWN = (AbandonPolicy, Expire, IndexNames, KeepEvents)


class Judge:
    """Judges one run.

    Args:
        ledger: Of all that was committed.
        committed_at: Index to the moment from which on anybody knew the entry to be committed.
    """

    def __init__(self, ledger: Ledger, committed_at: dict[int, float]) -> None:
        self._ledger, self._committed_at = ledger, committed_at

    def judge(self, asked: list[Asked], others: Iterable[bytes]) -> None:
        """Raises `Violation`.

        Args:
            asked: Every call and what was heard.
            others: request_ids of callers that are judged elsewhere.
        """
        self._check_asked_for(asked, set(others))
        self._check_denied(asked)
        for each in asked:
            if each.answered:
                problem = self._problem(each)
                if problem:
                    raise Violation("as the model says", _told(each, problem))
        self._check_real_time(asked)
        self._check_stale(asked)

    def _check_asked_for(self, asked: list[Asked], others: set[bytes]) -> None:
        """What is in the log was asked for just so."""
        wanted: dict[bytes, object] = {}
        for each in asked:
            if each.method.writes:
                wanted |= wishes(each.request)
        for request_id, decided in self._ledger.decided.items():
            if request_id in others or isinstance(decided.command, _OWN):
                continue
            if request_id not in wanted:
                raise Violation("asked for", f"nobody asked for {decided.command}")
            if wanted[request_id] != wished(decided.command):
                told_of = f"{decided.command} instead of {wanted[request_id]}"
                raise Violation("asked for", f"the log has {told_of}")

    def _check_denied(self, asked: list[Asked]) -> None:
        """What was certainly not done is not in the log."""
        maybe = {request_id for each in asked if not each.denied for request_id in each.request_ids}
        for each in asked:
            for request_id in each.request_ids if each.denied else ():
                if request_id in self._ledger.decided and request_id not in maybe:
                    raise Violation("certainly not done", _told(each, "it is in the log"))

    # -- one answer -------------------------------------------------------------------------

    def _problem(self, each: Asked) -> str:
        """What is wrong with an answer; empty: nothing."""
        if each.method.writes:
            return self._problem_of_write(each)
        heard: Any = each.heard
        if isinstance(heard, NamestoreError):
            return "nobody should ever hear that"
        match each.request:
            case ns.GetNamespaceRequest():
                return self._problem_of_space(heard.namespace)
            case ns.ListNamespacesRequest():
                problems = map(self._problem_of_space, heard.namespaces)
                return next(filter(None, problems), "")
        revision = told.revision_of(heard)
        if revision not in self._ledger.times:
            return f"no state that anybody could read has revision {revision}"
        for time_ms in self._ledger.times[revision]:
            problem = self._problem_of_read(each, revision, time_ms)
            if not problem:
                return ""
        return problem

    def _problem_of_write(self, each: Asked) -> str:
        if isinstance(each.request, ns.PutNamespaceRequest):
            return self._problem_of_policy(each)
        if told.never_proposed(each.heard):
            return self._problem_of_refusal(each)
        answers = []
        for request_id in each.request_ids:
            decided = self._ledger.decided.get(request_id)
            if decided is None:
                return "it is not in the log"
            if self._committed_at[decided.index] > each.returned:
                return "it was answered before it was committed"
            answers += decided.answers
        return told.differs(each.request, each.heard, answers)

    def _problem_of_refusal(self, each: Asked) -> str:
        """A policy refused a name before the log, and it must have been one of then."""
        request, heard = each.request, each.heard
        many = isinstance(request, pb.RegisterManyRequest)
        results = heard.results if many else [heard]  # type: ignore[union-attr]
        requests = request.requests if many else [request]
        for one, result in zip(requests, results, strict=True):
            if many and request.mode == pb.RegisterManyRequest.INDEPENDENT:
                problem = self._problem_of_one(one, result)
            elif result.refusal == pb.REFUSAL_UNSPECIFIED:
                problem = ""
            else:
                problem = self._problem_of_unfit(one, result)
            if problem:
                return problem
        return ""

    def _problem_of_one(self, request: pb.RegisterRequest, result: pb.RegisterResponse) -> str:
        if told.never_proposed(result):
            return self._problem_of_unfit(request, result)
        decided = self._ledger.decided.get(request.request_id)
        if decided is None:
            return "it is not in the log"
        return told.differs(request, result, list(decided.answers))

    def _problem_of_unfit(self, request: Any, result: Any) -> str:
        name = request.to_name if isinstance(request, pb.RenameRequest) else request.name
        decided = self._ledger.decided.get(request.request_id)
        # A refusal before the log is not remembered: under a later policy it is asked anew.
        if decided is not None and decided.answers[0].revision <= result.revision:
            return "it was decided before a policy refused it"
        namespace, _, label = name.partition(":")
        space = self._ledger.space(namespace, result.revision)
        policies = [policy for policy in (space.policy, space.pending) if policy is not None]
        if result.refusal == pb.RESERVED_WORD:
            fits = any(result.in_way in policy.reserved for policy in policies)
        else:
            fits = any(policy.profile is Profile.SLUG for policy in policies) and "_" in label
        return "" if fits else f"no policy of that moment refuses it: {space}"

    # -- policies ---------------------------------------------------------------------------

    def _problem_of_policy(self, each: Asked) -> str:
        heard = each.heard
        decided = self._ledger.decided.get(each.request.request_id)
        if decided is not None and self._committed_at[decided.index] > each.returned:
            decided = None  # answered before the log, and sent again since
        verdict = decided.answers[0].verdict if decided is not None else ""
        if isinstance(heard, NamestoreError):
            refused = {"STALE_FENCE": "STALE_FENCE", "CHANGE_UNDER_WAY": "POLICY_BUSY"}
            fits = verdict in ("", refused.get(heard.REASON))
            return "" if fits else f"{heard.REASON} of what was decided as {verdict}"
        response: Any = heard
        if not response.accepted and verdict == "POLICY_ACTIVE":
            return "it came into force, and was called refused"
        if response.accepted and verdict in ("STALE_FENCE", "POLICY_BUSY"):
            return f"it was called accepted, and decided as {verdict}"
        return self._problem_of_space(response.namespace)

    def _problem_of_space(self, space: ns.Namespace) -> str:
        seen = (space.policy_version, space.pending_version)
        known = {(0, 0)} | {(s.version, s.pending_version) for s in self._spaces(space.name)}
        return "" if seen in known else f"{space.name} never stood at {seen}"

    def _spaces(self, namespace: str) -> list[Space]:
        return [space for _, space in self._ledger.spaces.get(namespace, ())]

    # -- reads ------------------------------------------------------------------------------

    def _problem_of_read(self, each: Asked, revision: int, time_ms: int) -> str:
        """What is wrong if the log's time was that."""
        heard: Any = each.heard
        match request := each.request:
            case pb.LookupRequest():
                return self._problem_of_lookup(request.name, heard, revision, time_ms)
            case pb.LookupManyRequest():
                if len({result.revision for result in heard.results}) != 1:
                    return "the names were read at different revisions"
                pairs = zip(request.names, heard.results, strict=True)
                problems = (self._problem_of_lookup(n, r, revision, time_ms) for n, r in pairs)
                return next(filter(None, problems), "")
            case pb.ListRequest():
                every = self._ledger.with_prefix(request.prefix, revision, time_ms)
                rest = [holding for holding in every if holding.name.encode() > each.after.encode()]
                return told.page_differs(request, heard, rest)
            case pb.ExportRequest():
                every = self._ledger.with_prefix(request.prefix, revision, time_ms)
                same = [shown(record) for record in heard.records] == list(
                    map(told.as_shown, every)
                )
                return "" if same else f"all of it was {every} then"
            case pb.HistoryRequest():
                return told.history_differs(
                    self._ledger.model,
                    self._ledger.stood(request.name, revision),
                    self._ledger.held(request.name, revision, time_ms),
                    heard,
                )
        raise TypeError(f"no read: {request!r}")

    def _problem_of_lookup(self, name: str, heard: Any, revision: int, time_ms: int) -> str:
        ledger = self._ledger
        holding = told.as_shown(ledger.held(name, revision, time_ms))
        if (shown(heard.record) if heard.found else None) != holding:
            return f"{name} was held by {holding} then"
        leads = told.as_shown(ledger.redirected(name, revision, time_ms))
        redirect = shown(heard.redirect) if heard.HasField("redirect") else None
        return "" if redirect == leads else f"{name} led to {leads} then"

    # -- time -------------------------------------------------------------------------------

    def _check_real_time(self, asked: list[Asked]) -> None:
        """Whoever asks is answered from a state that has all that was answered before."""
        first: dict[bytes, float] = {}
        for each in asked:
            for request_id in each.request_ids:
                first[request_id] = min(each.called, first.get(request_id, each.called))
        placed = [(each, self._revision(each)) for each in asked if each.answered]
        answered = [(each, revision) for each, revision in placed if revision is not None]
        by_return = sorted(answered, key=lambda item: item[0].returned)
        floor, place = 0, 0
        culprit: Asked | None = None
        for each, revision in sorted(
            answered, key=lambda item: min([item[0].called, *_calls(item[0], first)])
        ):
            called = min([each.called, *_calls(each, first)])
            while place < len(by_return) and by_return[place][0].returned < called:
                other, seen = by_return[place]
                if seen > floor:
                    floor, culprit = seen, other
                place += 1
            if revision < floor and not told.is_stale(each.request):
                raise Violation(
                    "sees all before", _told(each, f"revision {floor} was known before: {culprit}")
                )

    def _revision(self, each: Asked) -> int | None:
        """Where in the order of changes an answer stands; None: it does not say."""
        if isinstance(each.request, ns.PutNamespaceRequest) and not _accepted(each.heard):
            return None
        if not each.method.writes or told.never_proposed(each.heard):
            return told.revision_of(each.heard)
        decided = [self._ledger.decided.get(request_id) for request_id in each.request_ids]
        revisions = [one.answers[0].revision for one in decided if one is not None]
        verdicts = {one.answers[0].verdict for one in decided if one is not None}
        if len(revisions) < len(decided) or "POLICY_PENDING" in verdicts:
            return None  # the last: it names the change that it waits for, which may be an old one
        return min(revisions)

    def _check_stale(self, asked: list[Asked]) -> None:
        """One life of a node never goes back behind what it has shown."""
        seen: dict[tuple[str, int], list[Asked]] = {}
        for each in sorted(asked, key=lambda each: each.returned):
            if each.answered and each.told_by is not None and told.is_stale(each.request):
                earlier = seen.setdefault(each.told_by, [])
                before = [other for other in earlier if other.returned < each.called]
                shown_before = max((told.revision_of(o.heard) or 0 for o in before), default=0)
                if (told.revision_of(each.heard) or 0) < shown_before:
                    raise Violation(
                        "stale, never backwards", _told(each, f"it showed {shown_before} before")
                    )
                earlier.append(each)


def _accepted(heard: Any) -> bool:
    return isinstance(heard, ns.PutNamespaceResponse) and heard.accepted


def _calls(each: Asked, first: dict[bytes, float]) -> list[float]:
    return [first[request_id] for request_id in each.request_ids]


def _told(each: Asked, problem: str) -> str:
    asked = " ".join(str(each.request).split())
    heard = " ".join(str(each.heard).split())
    called, returned = each.called, each.returned
    return (
        f"{problem}; {each.caller} asked {each.method.name} {asked} at {called:.4f} and heard "
        f"{heard} at {returned:.4f}"
    )
