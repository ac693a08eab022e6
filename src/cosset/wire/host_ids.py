"""The second id of a request that S3 gives: `x-amz-id-2`, and `HostId` in its errors and events."""

import hashlib
from base64 import b64encode


def host_id(request_id: str) -> str:
    """The same for the same request, wherever it is told."""
    return b64encode(hashlib.sha384(request_id.encode()).digest()).decode()
