"""Request bodies on their way in: read whole within a bound, or given on as they come."""

from collections.abc import AsyncIterator

from cosset.wire.errors import ServiceError
from cosset.wire.message import Body, Request
from cosset.wire.views import viewed

AWS_MAX_REQUEST_BYTES = 70_167_211
"""What AWS takes for CreateFunction: 50 MB of zip in base64 and 256 KB beside it
(recorded: TestLambdaSizeLimits::test_oversized_request_create_lambda)."""

MAX_BUFFERED_BYTES = 1024 * 1024 * 1024
"""All bodies together that may be held while they are read; beyond it the door says SlowDown."""


class TooLargeError(Exception):
    """The body is longer than the limit. The door says so in AWS's words, with the operation's name."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes

    def answer(self, operation: str) -> ServiceError:
        sentence = f"Request must be smaller than {self.limit_bytes} bytes for the {operation} operation"
        return ServiceError("RequestEntityTooLargeException", sentence, status=413)


class ClientGoneError(Exception):
    """The client left before its body was complete: there is nobody to answer."""


class BodyReader:
    """Reads bodies whole. At its bound over all requests it refuses new ones instead of growing."""

    def __init__(self, limit_bytes: int, max_buffered_bytes: int = MAX_BUFFERED_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._max_buffered_bytes = max_buffered_bytes
        self._buffered_bytes = 0

    def check_length(self, request: Request) -> None:
        """Raises: TooLargeError when the request announces more than it may send."""
        length = request.headers.get("content-length")
        if length is not None and length.isdecimal() and int(length) > self.limit_bytes:
            raise TooLargeError(self.limit_bytes)

    async def read(self, body: Body) -> bytes:
        """Raises: TooLargeError; ServiceError ServiceUnavailable when too much is being read at once."""
        if isinstance(body, bytes):
            if len(body) > self.limit_bytes:
                raise TooLargeError(self.limit_bytes)
            return body
        return await self._collect(body)

    async def _collect(self, chunks: AsyncIterator[bytes]) -> bytes:
        pieces: list[bytes] = []
        size = 0
        try:
            async for chunk in chunks:
                size += len(chunk)
                self._buffered_bytes += len(chunk)
                if size > self.limit_bytes:
                    raise TooLargeError(self.limit_bytes)
                if self._buffered_bytes > self._max_buffered_bytes:
                    raise ServiceError("ServiceUnavailable", "Please reduce your request rate.", status=503)
                pieces.append(chunk)
        finally:
            self._buffered_bytes -= size
        return b"".join(pieces)


def iterate(body: Body) -> AsyncIterator[bytes]:
    return viewed(body)
