"""What is listened on at 127.0.0.1 inside every environment. The sockets are passed out: the host accepts on them, so
that whatever comes in through one is known to come from inside that environment. Read next: seal.py.
"""

from __future__ import annotations

ENDPOINT = 4566
RUNTIME_API = 9001
AWS_HTTPS = 443
AWS_HTTP = 80
"""What the names of AWS's own endpoints lead to."""
NAMES = 53
"""Over UDP too."""

OF_ALL = (ENDPOINT, AWS_HTTPS, AWS_HTTP, NAMES, RUNTIME_API)
DATAGRAMS = 0
"""In the place of a port: the one socket for names by UDP."""
PASSED_OUT = (DATAGRAMS, *OF_ALL)
"""The order in which an init passes its sockets out."""
