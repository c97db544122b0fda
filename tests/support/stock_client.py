"""A gRPC client that knows nothing of namestore but an address, as any reflection tool is.

Run by itself, isolated, with host:port and a name. It lists the services, builds the messages from
what the server says about them, registers the name, and prints what it saw as JSON.
"""

import json
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


def main(endpoint: str, name: str) -> None:
    with grpc.insecure_channel(endpoint) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = sorted(database.get_services())
        pool = DescriptorPool(database)
        service = pool.FindServiceByName("namestore.v1.NameRegistry")
        method = service.methods_by_name["Register"]
        register = channel.unary_unary(
            f"/{service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        request = GetMessageClass(method.input_type)(name=name, owner="stock", request_id=b"1")
        answer = MessageToDict(register(request, timeout=10))
    ours = sorted(module for module in sys.modules if module.startswith("namestore"))
    report = {"services": services, "answer": answer, "ours": ours}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
