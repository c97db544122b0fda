"""Commands of a name's life, with a small stand-in for what Unicode says of look-alikes."""

from __future__ import annotations

from namestore.core import reading
from namestore.core.commands import (
    Confirm,
    IndexNames,
    Judgement,
    PutNamespace,
    Register,
    Rename,
    UniqueKey,
    Update,
    Wanted,
)
from namestore.core.policies import KeyKind, Policy, encode_policy
from tests.support.registry_driver import RegistryDriver


def looks(name: str) -> tuple[UniqueKey, ...]:
    """Names that differ in 0 and o, or 1 and l, look alike."""
    label = name.partition(":")[2]
    return ((int(KeyKind.LOOKS), label.replace("0", "o").replace("1", "l")),)


class Life:
    """One registry, and a proposer that judges every name at the present state."""

    def __init__(self, policy: Policy | None = None, namespace: str = "user") -> None:
        self.registry = RegistryDriver()
        self._count = 0
        if policy is not None:
            self.put(policy, namespace)

    def request_id(self) -> bytes:
        self._count += 1
        return b"life-%d" % self._count

    def judged(self, name: str) -> tuple[Judgement, ...]:
        space = reading.namespace_state(self.registry.view(), name.partition(":")[0])
        policies = (space.version, space.in_force), (space.pending_version, space.to_come)
        return tuple(
            Judgement(version, looks(name) if policy.look_alikes else ())
            for version, policy in policies
            if version and policy is not None
        )

    def wanted(self, name: str, owner: str = "ann", ttl_ms: int | None = None) -> Wanted:
        return Wanted(name, name, owner, b"", self.judged(name), ttl_ms)

    def put(self, policy: Policy, namespace: str = "user") -> str:
        version = reading.namespace_state(self.registry.view(), namespace).version
        put = PutNamespace(self.request_id(), namespace, encode_policy(policy), version)
        return self.registry.decide(put)[0].verdict.name

    def index(self, *names: str, namespace: str = "user") -> str:
        pending = reading.namespace_state(self.registry.view(), namespace).pending_version
        items = tuple((name, looks(name)) for name in names)
        return self.registry.decide(IndexNames(namespace, pending, items))[0].verdict.name

    def take(self, name: str, owner: str = "ann", ttl_ms: int | None = None) -> str:
        command = Register(self.request_id(), self.wanted(name, owner, ttl_ms))
        return self.registry.decide(command)[0].verdict.name

    def confirm(self, name: str, owner: str = "ann") -> str:
        return self.registry.decide(Confirm(self.request_id(), name, owner))[0].verdict.name

    def update(
        self, name: str, owner: str = "ann", new_owner: str | None = None, fence: int = 0
    ) -> str:
        command = Update(self.request_id(), name, owner, None, new_owner, fence)
        return self.registry.decide(command)[0].verdict.name

    def rename(self, from_name: str, to_name: str, owner: str = "ann") -> str:
        judged = self.judged(to_name)
        command = Rename(self.request_id(), from_name, to_name, to_name, owner, judged)
        return self.registry.decide(command)[0].verdict.name

    def owner_of(self, name: str) -> str | None:
        (record,) = reading.lookup(self.registry.view(), [name])
        return None if record is None else record.owner

    def pass_seconds(self, seconds: float) -> None:
        """The clock moves on, and an entry carries it into the log's time."""
        self.registry.clock_ms += int(seconds * 1000)
        self.registry.apply()
