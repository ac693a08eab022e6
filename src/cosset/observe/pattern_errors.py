"""What can be wrong with a filter pattern."""


class InvalidPatternError(Exception):
    """The text is no filter pattern; the message says where."""


class UnsupportedPatternError(Exception):
    """A kind of pattern that AWS has and Cosset does not have yet; the message names it."""
