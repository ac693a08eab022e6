"""What each environment is busy with: the trace header of its event, by the access key of its credentials.

Every environment has a key of its own. So a call that comes without the header, from an SDK that does not pass it on,
is still known to be part of this event. What an extension calls after the answer is not.
"""


class Underway:
    def __init__(self) -> None:
        self._headers: dict[str, str] = {}

    def begin(self, access_key_id: str, header: str) -> None:
        """An environment has at most one event at a time."""
        self._headers[access_key_id] = header

    def end(self, access_key_id: str) -> None:
        self._headers.pop(access_key_id, None)

    def header_of(self, access_key_id: str) -> str | None:
        return self._headers.get(access_key_id)
