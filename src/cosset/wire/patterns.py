"""The regular expressions of AWS's models, written for Java, as Python's `re` understands them.

What `re` cannot say at all gives None: such a constraint is not checked (none in the services that Cosset has; a test
counts them). Next: validation.py.
"""

import re
import sys
import unicodedata
from functools import cache

_CLASS_ESCAPES = "wWdDsSpP"
_POSIX = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": "\\x00-\\x7f",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Punct": "!-/:-@\\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": " \\t",
    "Cntrl": "\\x00-\\x1f\\x7f",
    "XDigit": "0-9a-fA-F",
    "Space": " \\t\\n\\x0b\\f\\r",
}
_PROPERTY = re.compile(r"\\([pP])(?:\{\^?(?:Is|general_category=|gc=)?(\w+)\}|(\w))", re.ASCII)
# Every character outside the basic plane, as Java writes it in surrogates.
_BEYOND_BMP = ("\\uD800\\uDC00-\\uDBFF\\uDFFF", "\\U00010000-\\U0010ffff")
_CODE_POINT = re.compile(r"\\x\{([0-9a-fA-F]{1,6})\}")


def compile_java_pattern(pattern: str) -> re.Pattern[str] | None:
    """To be used with `fullmatch`, as AWS does. Cached by the caller."""
    try:
        return re.compile(_translate(pattern.replace(*_BEYOND_BMP)), re.ASCII)
    except (re.error, KeyError, OverflowError):
        return None


def _translate(pattern: str) -> str:
    out: list[str] = []
    position = depth = 0
    after_class = False
    while position < len(pattern):
        char = pattern[position]
        piece, length, is_class = char, 1, False
        if char == "\\":
            piece, length, is_class = _escape(pattern, position, in_class=depth > 0)
        elif depth and char == "[":
            # Java nests classes; what the models mean by a bracket in a class is the bracket.
            piece = "\\["
        elif char == "[":
            depth = 1
            length = _class_opening(pattern, position)
            piece = pattern[position : position + length].replace("[]", "[\\]").replace("[^]", "[^\\]")
        elif depth and char == "]":
            depth = 0
        elif depth and (char in "&|~" or (char == "-" and after_class)):
            # Sets that Python might one day read as operations, and `\w-.`, which is no range in Java.
            piece = "\\" + char
        out.append(piece)
        position += length
        after_class = is_class and depth > 0
    return "".join(out)


def _class_opening(pattern: str, position: int) -> int:
    """How long the opening of a class is, with a `^` and a `]` that stands first and so is literal."""
    length = 2 if pattern[position + 1 : position + 2] == "^" else 1
    return length + 1 if pattern[position + length : position + length + 1] == "]" else length


def _escape(pattern: str, position: int, *, in_class: bool) -> tuple[str, int, bool]:
    """The Python form of the escape at `position`, its length in the pattern, whether it is a class of characters."""
    found = _PROPERTY.match(pattern, position)
    if found is not None:
        name = found.group(2) or found.group(3)
        return _property(name, negated=found.group(1) == "P", in_class=in_class), len(found.group()), True
    found = _CODE_POINT.match(pattern, position)
    if found is not None:
        return f"\\U{int(found.group(1), 16):08x}", len(found.group()), False
    letter = pattern[position + 1 : position + 2]
    replaced = {"z": "\\Z", "h": " \\t" if in_class else "[ \\t]"}.get(letter, "\\" + letter)
    return replaced, 2, letter in _CLASS_ESCAPES


def _property(name: str, *, negated: bool, in_class: bool) -> str:
    ranges = _POSIX.get(name) or _category_ranges(name)
    if in_class:
        if negated:
            raise KeyError("A negated property inside a class has no form in Python")
        return ranges
    return f"[{'^' if negated else ''}{ranges}]"


@cache
def _category_ranges(name: str) -> str:
    """The characters of a Unicode category (`L`, `Lu`, `N` ...) as ranges. Reading the whole table takes about 0.1 s,
    once, for the few models that ask for it."""
    ranges: list[str] = []
    start: int | None = None
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and unicodedata.category(chr(code)).startswith(name)
        if inside and start is None:
            start = code
        elif not inside and start is not None:
            ranges.append(f"\\U{start:08x}-\\U{code - 1:08x}")
            start = None
    if not ranges:
        raise KeyError(name)
    return "".join(ranges)
