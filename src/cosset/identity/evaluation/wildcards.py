"""Matching a whole text against chunks with stars between them, in time that no pattern makes long.

Who writes a policy chooses the pattern, who calls chooses the text, and both may be tens of thousands of characters:
what tries a chunk anew at every place takes seconds then, for everybody on the node. Here a chunk is looked for in one
pass, and each is taken where it first fits, for good. Read next: templates.py, which reads patterns.
"""

from collections.abc import Callable, Sequence

Chunk = Sequence[str | None]
"""Texts, and None for any one character."""


def chunk_matcher(chunks: Sequence[Chunk]) -> Callable[[str], bool]:
    """`chunks`: what stands between the stars, in order; one chunk: no star at all."""
    first, *middle = map(_Chunk, chunks)
    if not middle:
        return lambda value: len(value) == first.length and first.fits(value, 0)
    last = middle.pop()
    shortest = first.length + last.length

    def matches(value: str) -> bool:
        at, end = first.length, len(value) - last.length
        if len(value) < shortest or not first.fits(value, 0) or not last.fits(value, end):
            return False
        for chunk in middle:
            at = chunk.end_in(value, at, end)
            if at < 0:
                return False
        return True

    return matches


class _Chunk:
    def __init__(self, parts: Chunk) -> None:
        self._parts = parts
        self._text = "".join(part for part in parts if part is not None) if None not in parts else None
        self.length = sum(1 if part is None else len(part) for part in parts)
        self._any, self._of = _places(parts) if self._text is None else (0, {})

    def fits(self, value: str, at: int) -> bool:
        """Whether it stands there; the value is long enough."""
        for part in self._parts:
            if part is None:
                at += 1
            elif value.startswith(part, at):
                at += len(part)
            else:
                return False
        return True

    def end_in(self, value: str, start: int, end: int) -> int:
        """Where it ends at its first place between the two; -1: it has none."""
        if self._text is not None:
            at = value.find(self._text, start, end)
            return at if at < 0 else at + self.length
        return self._end_of_any(value, start, end)

    def _end_of_any(self, value: str, start: int, end: int) -> int:
        """All places at once: bit n says that the first n + 1 characters of the chunk stand right before here."""
        any_, of, places = self._any, self._of, 0
        whole = 1 << self.length - 1
        for at in range(start, end):
            places = (places << 1 | 1) & (of.get(value[at], 0) | any_)
            if places & whole:
                return at + 1
        return -1


def _places(parts: Chunk) -> tuple[int, dict[str, int]]:
    """Where in a chunk any character may stand, and where each may, as bits."""
    anywhere, of, bit = 0, dict[str, int](), 0
    for part in parts:
        if part is None:
            anywhere |= 1 << bit
            bit += 1
            continue
        for char in part:
            of[char] = of.get(char, 0) | 1 << bit
            bit += 1
    return anywhere, of
