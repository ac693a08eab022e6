"""Event patterns, the language of EventBridge rules: event source mappings filter with them, and SNS subscriptions and
EventBridge rules may. `compile_pattern` makes a predicate of a text; what it refuses, it refuses in AWS's sentences.
"""

from cosset.triggers.patterns.compiler import Dialect, InvalidPatternError, Pattern, compile_pattern

__all__ = ["Dialect", "InvalidPatternError", "Pattern", "compile_pattern"]
