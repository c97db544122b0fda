"""What callers of the whole API wish: requests drawn one after another, from what was heard before.

Mostly as a holder would ask, now and then as somebody who is wrong, late, or says the same once
more. Names are few and near to each other: some look alike, some differ by punctuation only.
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from namestore.client import methods
from namestore.client.methods import Method
from namestore.core.policies import HoldBack, Policy, Profile
from namestore.rpc.batches import member_results
from namestore.rpc.policies import fill_policy
from namestore.v1 import namespaces_pb2 as ns
from namestore.v1 import registry_pb2 as pb
from tests.simulation.plan import Lives

NAMESPACES = ("life", "page")
# Some look alike, some differ by punctuation only, one is no slug.
_LABELS = ("lx", "1x", "l-x", "xl", "x1", "l_x", "ll", "1-x", "l1")
_OWNERS = ("ann", "bob", "eve")
POLICIES = (
    Policy(),
    Policy(hold_back=HoldBack.fixed(3), redirect_after_rename=True),
    Policy(hold_back=HoldBack(100, 1, 5), reservation_default_s=2, reservation_longest_s=4),
    Policy(look_alikes=True, hold_back=HoldBack.fixed(1)),
    Policy(squeeze=True, redirect_after_rename=True),
    Policy(look_alikes=True, squeeze=True),
    Policy(profile=Profile.SLUG, reserved=("ll",)),
    Policy(names_per_owner_max=2),
    Policy(reserved=("x1", "xl"), reservation_longest_s=1, reservation_default_s=1),
    Policy(redirect_after_rename=True),
)
_WISHES = (
    (14, "register"),
    (22, "reserve"),
    (8, "many"),
    (14, "confirm"),
    (9, "release"),
    (12, "update"),
    (9, "rename"),
    (8, "again"),
    (16, "lookup"),
    (6, "lookup_many"),
    (9, "page"),
    (6, "history"),
    (3, "namespaces"),
    (3, "export"),
)


_WITH_RECORD = (
    pb.RegisterResponse,
    pb.ConfirmResponse,
    pb.UpdateResponse,
    pb.RenameResponse,
    pb.LookupResponse,
)


class Wish(NamedTuple):
    """A request. `after`: of a page, the last name of the page before."""

    method: Method[Any, Any]
    request: Any
    after: str = ""


class Wishes:
    """The wishes of one caller, and what it knows. The `first` begins with the policies."""

    def __init__(self, rng: Random, lives: Lives, *, first: bool) -> None:
        self._rng, self._lives = rng, lives
        # Names that it was told are held, with owner and create_revision.
        self._known: dict[str, tuple[str, int]] = {}
        self._given_up: list[str] = []
        self._versions: dict[str, int] = dict.fromkeys(NAMESPACES, 0)
        # Of a list: prefix, token of the next page, last name.
        self._reached = ("", "", "")
        self._writes: list[Wish] = []
        self._first = [*NAMESPACES] if first and lives.policy >= 0 else []

    def draw(self) -> Wish:
        """The next one."""
        rng = self._rng
        if self._first:
            wish: Wish = self._put(self._first.pop(), POLICIES[self._lives.policy])
        elif rng.random() < self._lives.policies:
            wish = self._policy()
        else:
            (kind,) = rng.choices([w for _, w in _WISHES], [weight for weight, _ in _WISHES])
            wish = getattr(self, f"_{kind}")()
        if wish.method.writes:
            self._writes.append(wish)
        return wish

    def learn(self, request: Any, answer: Any) -> None:
        """Remembers what the answer tells of names and policies."""
        if isinstance(answer, _WITH_RECORD):
            self._know(answer.record)
        match answer:
            case pb.RegisterManyResponse():
                for one in member_results(request, answer):
                    self.learn(None, one)
            case pb.ReleaseResponse():
                self._known.pop(request.name, None)
            case pb.ListResponse():
                for record in answer.records:
                    self._know(record)
                last = answer.records[-1].name if answer.records else ""
                self._reached = (request.prefix, answer.next_page_token, last)
            case ns.GetNamespaceResponse() | ns.PutNamespaceResponse():
                self._versions[answer.namespace.name] = answer.namespace.policy_version
            case pb.RenameResponse():
                self._given_up += [request.from_name] * answer.renamed

    def _know(self, record: pb.NameRecord) -> None:
        if record.name:
            self._known[record.name] = (record.owner, record.create_revision)

    # -- writes -----------------------------------------------------------------------------

    def _register(self) -> Wish:
        return Wish(methods.REGISTER, self._wanted(self._name(), 0.0))

    def _reserve(self) -> Wish:
        return Wish(methods.REGISTER, self._wanted(self._name(), 1.0))

    def _many(self) -> Wish:
        names = {self._name() for _ in range(self._rng.randrange(1, 4))}
        modes = pb.RegisterManyRequest.Mode
        mode = self._rng.choice([modes.INDEPENDENT, modes.ALL_OR_NOTHING])
        if self._rng.random() < 0.4:
            return Wish(methods.REGISTER_MANY, self._alike(sorted(names), mode))
        wanted = [self._wanted(name, 0.4) for name in sorted(names)]
        return Wish(methods.REGISTER_MANY, pb.RegisterManyRequest(requests=wanted, mode=mode))

    def _alike(
        self, names: list[str], mode: pb.RegisterManyRequest.Mode.ValueType
    ) -> pb.RegisterManyRequest:
        """In the short form; some names twice, of which one gets it."""
        if mode == pb.RegisterManyRequest.INDEPENDENT and self._rng.random() < 0.2:
            names = [*names, names[0]]
        return pb.RegisterManyRequest(
            names=names,
            owner=self._rng.choice(_OWNERS),
            payload=self._bytes(),
            request_id=self._identity(),
            mode=mode,
        )

    def _wanted(self, name: str, reserved: float) -> pb.RegisterRequest:
        rng = self._rng
        request = pb.RegisterRequest(
            name=name, owner=rng.choice(_OWNERS), request_id=self._identity(), payload=self._bytes()
        )
        if rng.random() < reserved:
            ttl_ms = rng.choice([0, 1, rng.randrange(200, 4000)])
            factor = rng.choice([1, 1, 3])
            # Some last longer than clocks are apart: what ends these early shows.
            request.ttl.FromMilliseconds(ttl_ms * (12 if ttl_ms % 6 == 5 else factor))
        return request

    def _confirm(self) -> Wish:
        name, owner, fence = self._held()
        identity = self._identity()
        return Wish(
            methods.CONFIRM,
            pb.ConfirmRequest(name=name, owner=owner, request_id=identity, create_revision=fence),
        )

    def _release(self) -> Wish:
        name, owner, fence = self._held()
        identity = self._identity()
        return Wish(
            methods.RELEASE,
            pb.ReleaseRequest(name=name, owner=owner, request_id=identity, create_revision=fence),
        )

    def _update(self) -> Wish:
        name, owner, fence = self._held()
        rng = self._rng
        request = pb.UpdateRequest(
            name=name, owner=owner, request_id=self._identity(), create_revision=fence
        )
        if rng.random() < 0.6:
            request.payload = self._bytes()
        if rng.random() < 0.5:
            request.new_owner = rng.choice(_OWNERS)
        return Wish(methods.UPDATE, request)

    def _rename(self) -> Wish:
        name, owner, fence = self._held()
        to_name = self._name()
        if to_name == name:
            to_name = f"{NAMESPACES[0]}:x"
        return Wish(
            methods.RENAME,
            pb.RenameRequest(
                from_name=name,
                to_name=to_name,
                owner=owner,
                request_id=self._identity(),
                create_revision=fence,
            ),
        )

    def _again(self) -> Wish:
        """Something that was asked before, under the same request_id."""
        return self._rng.choice(self._writes[-20:]) if self._writes else self._reserve()

    def _policy(self) -> Wish:
        namespace, rng = self._rng.choice(NAMESPACES), self._rng
        if rng.random() < 0.4:
            return Wish(methods.GET_NAMESPACE, ns.GetNamespaceRequest(name=namespace))
        return self._put(namespace, rng.choice(POLICIES))

    def _put(self, namespace: str, policy: Policy) -> Wish:
        request = ns.PutNamespaceRequest(
            request_id=self._identity(), expected_version=self._versions[namespace]
        )
        request.namespace.name = namespace
        fill_policy(request.namespace.policy, policy)
        return Wish(methods.PUT_NAMESPACE, request)

    # -- reads ------------------------------------------------------------------------------

    def _lookup(self) -> Wish:
        name = self._name()
        if self._given_up and self._rng.random() < 0.4:
            name = self._rng.choice(self._given_up[-4:])
        request = pb.LookupRequest(name=name, consistency=self._consistency())
        return Wish(methods.LOOKUP, request)

    def _lookup_many(self) -> Wish:
        names = sorted({self._name() for _ in range(3)})
        request = pb.LookupManyRequest(names=names, consistency=self._consistency())
        return Wish(methods.LOOKUP_MANY, request)

    def _page(self) -> Wish:
        prefix, token, last = self._reached
        if not token:
            prefix, last = f"{self._rng.choice(NAMESPACES)}:", ""
        request = pb.ListRequest(
            prefix=prefix, page_size=2, page_token=token, consistency=self._consistency()
        )
        return Wish(methods.LIST, request, last)

    def _history(self) -> Wish:
        request = pb.HistoryRequest(name=self._name(), consistency=self._consistency())
        return Wish(methods.HISTORY, request)

    def _namespaces(self) -> Wish:
        return Wish(methods.LIST_NAMESPACES, ns.ListNamespacesRequest())

    def _export(self) -> Wish:
        prefix = self._rng.choice(["", "life:", "page:l"])
        return Wish(methods.EXPORT, pb.ExportRequest(prefix=prefix))

    # -- chance -----------------------------------------------------------------------------

    def _consistency(self) -> pb.Consistency.ValueType:
        return pb.STALE if self._rng.random() < 0.3 else pb.LINEARIZABLE

    def _name(self) -> str:
        label = self._rng.choice(_LABELS[: self._lives.labels])
        return f"{self._rng.choice(NAMESPACES)}:{label}"

    def _held(self) -> tuple[str, str, int]:
        """A name, who might hold it, and a fence."""
        rng = self._rng
        name = rng.choice(list(self._known)) if self._known else self._name()
        owner, since = self._known.get(name, (rng.choice(_OWNERS), 0))
        if rng.random() < 0.1:
            owner = rng.choice(_OWNERS)
        fence = rng.choice([0, 0, since, since, max(0, since - 1)])
        return name, owner, fence

    def _identity(self) -> bytes:
        return self._rng.getrandbits(64).to_bytes(8, "big")

    def _bytes(self) -> bytes:
        return self._rng.choice([b"", b"1", b"2"])
