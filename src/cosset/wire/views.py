"""Bodies whose chunks may be views of memory that is used again: read with care, or iterated without."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable

from cosset.wire.message import Body

Chunk = bytes | memoryview
Take = Callable[[Chunk], None]


class ViewedBody(AsyncIterator[bytes]):
    """A body on its way in. Iterated it gives bytes of their own; fresh memory is what costs most in that."""

    @property
    def good_for(self) -> int:
        """How many more may be asked for before a view is not good any more: two, or more. May grow."""
        return 2

    @property
    def is_fast(self) -> bool:
        """Whether much of it is to be had at once: `pour` is worth the while."""
        return False

    async def pour(self, take: Take) -> None:
        """Gives views to `take`, in a thread, for as long as they come fast; what is left of them, and the end, are
        asked for as ever. A view is good as if the next one was asked for when `take` returns. Raises what it raises.
        """

    @abstractmethod
    async def next_view(self) -> Chunk | None:
        """The next chunk, which is good until `good_for` more were asked for; None at the end."""

    async def __anext__(self) -> bytes:
        view = await self.next_view()
        if view is None:
            raise StopAsyncIteration
        return bytes(view)


class _Plain(ViewedBody):
    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    async def next_view(self) -> Chunk | None:
        async for chunk in self._chunks:
            return chunk
        return None


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data


def viewed(body: Body) -> ViewedBody:
    if isinstance(body, ViewedBody):
        return body
    return _Plain(_whole(body) if isinstance(body, bytes) else body)
