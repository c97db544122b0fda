"""The remote methods a client may call, and the one thing to know before a retry: is it a write?

Invariant: a method is a read only if sending it any number of times changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from namestore.v1 import cluster_pb2 as cluster
from namestore.v1 import namespaces_pb2 as namespaces
from namestore.v1 import registry_pb2 as registry

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)

REGISTRY_SERVICE = "namestore.v1.NameRegistry"
CLUSTER_SERVICE = "namestore.v1.Cluster"
NAMESPACES_SERVICE = "namestore.v1.Namespaces"


@dataclass(frozen=True, slots=True)
class Method(Generic[RequestT, ResponseT]):
    """One rpc.

    Attributes:
        writes: It may change the registry or the cluster, so a retry must be the same request.
        patient: Its answer may take minutes: a silence is no reason to ask elsewhere.
    """

    service: str
    name: str
    request_type: type[RequestT]
    response_type: type[ResponseT]
    writes: bool
    patient: bool = False

    @property
    def path(self) -> str:
        """As gRPC spells it."""
        return f"/{self.service}/{self.name}"

    @property
    def retry_advice(self) -> str:
        """What to do when nobody knows whether it was applied."""
        if self.service == CLUSTER_SERVICE:
            # Orders about the cluster have no request_id: they name the state that is wanted.
            return "ask again to learn"
        return "retry with the same request_id"


def _write(
    name: str, request_type: type[RequestT], response_type: type[ResponseT]
) -> Method[RequestT, ResponseT]:
    return Method(REGISTRY_SERVICE, name, request_type, response_type, writes=True)


def _read(
    name: str, request_type: type[RequestT], response_type: type[ResponseT]
) -> Method[RequestT, ResponseT]:
    return Method(REGISTRY_SERVICE, name, request_type, response_type, writes=False)


REGISTER = _write("Register", registry.RegisterRequest, registry.RegisterResponse)
REGISTER_MANY = _write("RegisterMany", registry.RegisterManyRequest, registry.RegisterManyResponse)
RELEASE = _write("Release", registry.ReleaseRequest, registry.ReleaseResponse)
UPDATE = _write("Update", registry.UpdateRequest, registry.UpdateResponse)
CONFIRM = _write("Confirm", registry.ConfirmRequest, registry.ConfirmResponse)
RENAME = _write("Rename", registry.RenameRequest, registry.RenameResponse)
LOOKUP = _read("Lookup", registry.LookupRequest, registry.LookupResponse)
LOOKUP_MANY = _read("LookupMany", registry.LookupManyRequest, registry.LookupManyResponse)
SESSION = _write("Session", registry.SessionRequest, registry.SessionResponse)
LIST = _read("List", registry.ListRequest, registry.ListResponse)
HISTORY = _read("History", registry.HistoryRequest, registry.HistoryResponse)
EXPORT = _read("Export", registry.ExportRequest, registry.ExportResponse)
WATCH = _read("Watch", registry.WatchRequest, registry.Event)
STATUS = Method(
    CLUSTER_SERVICE, "Status", cluster.StatusRequest, cluster.StatusResponse, writes=False
)
ADD_MEMBER = Method(
    CLUSTER_SERVICE,
    "AddMember",
    cluster.AddMemberRequest,
    cluster.AddMemberResponse,
    writes=True,
    patient=True,
)
REMOVE_MEMBER = Method(
    CLUSTER_SERVICE,
    "RemoveMember",
    cluster.RemoveMemberRequest,
    cluster.RemoveMemberResponse,
    writes=True,
    patient=True,
)
TRANSFER_LEADERSHIP = Method(
    CLUSTER_SERVICE,
    "TransferLeadership",
    cluster.TransferLeadershipRequest,
    cluster.TransferLeadershipResponse,
    writes=True,
    patient=True,
)
PUT_NAMESPACE = Method(
    NAMESPACES_SERVICE,
    "PutNamespace",
    namespaces.PutNamespaceRequest,
    namespaces.PutNamespaceResponse,
    writes=True,
    patient=True,
)
GET_NAMESPACE = Method(
    NAMESPACES_SERVICE,
    "GetNamespace",
    namespaces.GetNamespaceRequest,
    namespaces.GetNamespaceResponse,
    writes=False,
)
LIST_NAMESPACES = Method(
    NAMESPACES_SERVICE,
    "ListNamespaces",
    namespaces.ListNamespacesRequest,
    namespaces.ListNamespacesResponse,
    writes=False,
)
