"""multipart/form-data as browsers post files: a few small fields, then the file, which streams.

Source: RFC 7578. Fields and headers of parts are bounded; what comes after the file is not read as fields.
"""

import re
from collections.abc import AsyncIterator
from email.message import Message

from cosset.gateway.body import iterate
from cosset.wire.errors import ServiceError
from cosset.wire.message import Body

MAX_FIELDS_BYTES = 20_480
"""What comes before the file, all together."""
_BOUNDARY = re.compile(r"""[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]""", re.ASCII)


class FormParts:
    """Reads one body. `fields` until the file is there, then `file` once."""

    def __init__(self, content_type: str, body: Body) -> None:
        """Raises: ServiceError MalformedPOSTRequest."""
        self._mark = b"\r\n--" + _boundary_of(content_type)
        self._source = iterate(body)
        self._held = bytearray(b"\r\n")
        self._read = 0
        self.file_name = ""
        self.file_type: str | None = None

    async def fields(self) -> dict[str, str] | None:
        """The fields before the file, by lower-case names (the first of those that come twice); None: there is no file.

        Raises: ServiceError MaxPOSTPreDataLengthExceededError, MalformedPOSTRequest.
        """
        found: dict[str, str] = {}
        await self._until(self._mark)
        while not await self._is_end():
            head = _head(await self._until(b"\r\n\r\n"))
            name = str(head.get_param("name", "", "content-disposition")).lower()
            if name == "file":
                file_name = head.get_filename()
                self.file_name = re.split(r"[\\/]", file_name or "")[-1]
                self.file_type = head.get("content-type")
                return found
            value = await self._until(self._mark)
            found.setdefault(name, value.decode("utf-8", "replace"))
        return None

    async def file(self) -> AsyncIterator[bytes]:
        """The file's bytes. Raises: ServiceError MalformedPOSTRequest, where its end does not come."""
        while True:
            at = self._held.find(self._mark)
            if at >= 0:
                if at:
                    yield bytes(self._held[:at])
                return
            ready = len(self._held) - len(self._mark) + 1
            if ready > 0:
                yield bytes(self._held[:ready])
                del self._held[:ready]
            await self._more()

    async def _until(self, mark: bytes) -> bytes:
        start = 0
        while (at := self._held.find(mark, start)) < 0:
            if len(self._held) + self._read > MAX_FIELDS_BYTES:
                sentence = "Your POST request fields preceding the upload file were too large."
                fields = {"MaxPostPreDataLengthBytes": str(MAX_FIELDS_BYTES)}
                raise ServiceError("MaxPOSTPreDataLengthExceededError", sentence, fields=fields)
            start = max(len(self._held) - len(mark) + 1, 0)
            await self._more()
        found = bytes(self._held[:at])
        del self._held[: at + len(mark)]
        self._read += at + len(mark)
        return found

    async def _is_end(self) -> bool:
        """After a boundary: two dashes end the form."""
        while len(self._held) < 2:
            await self._more()
        if self._held.startswith(b"--"):
            return True
        if not self._held.startswith(b"\r\n"):
            raise _malformed()
        # Headers may be none: the line break counts as the first half of the empty line.
        return False

    async def _more(self) -> None:
        async for chunk in self._source:
            if chunk:
                self._held += chunk
                return
        raise _malformed()


def _boundary_of(content_type: str) -> bytes:
    message = Message()
    message["content-type"] = content_type.replace("\r", "").replace("\n", "")
    boundary = message.get_param("boundary")
    if not isinstance(boundary, str) or _BOUNDARY.fullmatch(boundary) is None:
        raise _malformed()
    return boundary.encode()


def _head(text: bytes) -> Message:
    """The headers of a part. As text that cannot break out of its line."""
    message = Message()
    for line in text.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip() and name.isascii():
            message[name.strip()] = value.strip().replace("\n", "").replace("\r", "")
    return message


def _malformed() -> ServiceError:
    sentence = "The body of your POST request is not well-formed multipart/form-data."
    return ServiceError("MalformedPOSTRequest", sentence)
