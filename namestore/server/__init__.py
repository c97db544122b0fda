"""One node: the gateway from callers to the replica, its gRPC services, the composition root."""
