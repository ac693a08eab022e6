"""How a node is put together, part by part: each module wires one stretch of it. The order is node.py's."""
