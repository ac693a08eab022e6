"""AWS's own Python bootstrap over a socketpair instead of HTTP: what it needs of a runtime client, in frames.

A frame is a kind (one byte), two lengths, a JSON head and a body. In come events (E); out go: ready for the first
event (N), a result (R), an error (F), an init error (I). A result or an error also asks for the next event.
The other end is environments/framed.py. Runs inside environments, Python 3.9 syntax.
"""

import json
import struct
import sys

from awslambdaric.lambda_runtime_client import BaseLambdaRuntimeClient, InvocationRequest
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

_LENGTHS = struct.Struct(">cII")
_READ_BYTES = 65536


class FramedRuntimeClient(BaseLambdaRuntimeClient):
    """Handed to `awslambdaric.bootstrap.run`. The marshaller is made here because it looks at the environment."""

    def __init__(self, sock):
        super().__init__("framed")
        self.marshaller = LambdaMarshaller()
        self._socket = sock
        self._buffer = bytearray()
        self._has_asked = False

    def wait_next_invocation(self):
        if not self._has_asked:
            self._has_asked = True
            self._send(b"N", {})
        head, body = self._read_frame()
        return InvocationRequest(
            invoke_id=head["request_id"],
            x_amzn_trace_id=head.get("trace_id"),
            invoked_function_arn=head["arn"],
            deadline_time_in_ms=head["deadline_ms"],
            client_context=head.get("client_context"),
            cognito_identity=head.get("cognito_identity"),
            tenant_id=None,
            content_type=head["content_type"],
            event_body=body,
            invocation_id=None,
        )

    def post_invocation_result(self, invoke_id, result_data, content_type="application/json", invocation_id=None):
        body = result_data if isinstance(result_data, bytes) else result_data.encode("utf-8")
        self._send(b"R", {"request_id": invoke_id, "content_type": content_type}, body)

    def post_invocation_error(self, invoke_id, error_response_data, xray_fault, invocation_id=None):
        self._send(b"F", {"request_id": invoke_id}, error_response_data.encode("utf-8"))

    def post_init_error(self, error_response_data, error_type_override=None):
        body = json.dumps(error_response_data).encode("utf-8")
        self._send(b"I", {"error_type": error_type_override or error_response_data["errorType"]}, body)

    def _send(self, kind, head, body=b""):
        text = json.dumps(head).encode("utf-8")
        self._socket.sendall(_LENGTHS.pack(kind, len(text), len(body)) + text + body)

    def _read_frame(self):
        self._fill(_LENGTHS.size)
        _, head_bytes, body_bytes = _LENGTHS.unpack_from(self._buffer)
        start = _LENGTHS.size + head_bytes
        self._fill(start + body_bytes)
        head = json.loads(self._buffer[_LENGTHS.size : start])
        body = bytes(self._buffer[start : start + body_bytes])
        del self._buffer[: start + body_bytes]
        return head, body

    def _fill(self, wanted):
        while len(self._buffer) < wanted:
            data = self._socket.recv(_READ_BYTES)
            if not data:
                sys.exit(0)  # the platform has let go of this environment
            self._buffer += data
