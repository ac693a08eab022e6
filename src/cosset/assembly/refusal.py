"""Why a node does not start."""


class NodeError(Exception):
    """The node cannot start; the message says why and what to do."""
