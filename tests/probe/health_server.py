"""A health server on gRPC's C core: health_server.py PORT health|none [CERTIFICATE KEY].

The messages are made by the Protocol Buffers library from their published definition. Each service is named
by the state it is in; one whose name is no state is not known, which is a status of the call.

It must not be called grpc_health: the library imports a module of that name where there is one.
"""

import sys
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto
STATES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]


def messages():
    file = descriptor_pb2.FileDescriptorProto(name="health.proto", package="grpc.health.v1", syntax="proto3")
    request = file.message_type.add(name="HealthCheckRequest")
    request.field.add(name="service", number=1, type=FIELD.TYPE_STRING, label=FIELD.LABEL_OPTIONAL)
    response = file.message_type.add(name="HealthCheckResponse")
    states = response.enum_type.add(name="ServingStatus")
    for number, name in enumerate(STATES):
        states.value.add(name=name, number=number)
    response.field.add(
        name="status", number=1, type=FIELD.TYPE_ENUM, label=FIELD.LABEL_OPTIONAL,
        type_name=".grpc.health.v1.HealthCheckResponse.ServingStatus",
    )
    made = message_factory.GetMessages([file])
    return made["grpc.health.v1.HealthCheckRequest"], made["grpc.health.v1.HealthCheckResponse"]


Request, Response = messages()


def check(request, context):
    name = request.service or "SERVING"
    if name not in STATES:
        context.abort(grpc.StatusCode.NOT_FOUND, f"no service {name}: \u00e4")
    return Response(status=STATES.index(name))


port, kind, *pems = sys.argv[1:]
server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
if kind == "health":
    handler = grpc.unary_unary_rpc_method_handler(check, Request.FromString, Response.SerializeToString)
    service = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})
    server.add_generic_rpc_handlers((service,))
if pems:
    certificate, key = (open(pem, "rb").read() for pem in pems)
    server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([(key, certificate)]))
else:
    server.add_insecure_port(f"127.0.0.1:{port}")
server.start()
server.wait_for_termination()
