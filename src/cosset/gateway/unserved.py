"""The services of AWS that nobody serves here: known well enough to be refused by name, in their own protocol.

Reads no more of a model than its metadata until a caller has proven who they are; what is read then is not kept, so
that asking for every service of AWS costs time and no memory. Next: routing.py.
"""

from functools import cached_property

from cosset.gateway.hints import read_parameter
from cosset.gateway.model_heads import read_all_heads
from cosset.wire.errors import ServiceError
from cosset.wire.message import Request
from cosset.wire.models import Catalogue
from cosset.wire.protocols import protocol_of
from cosset.wire.protocols.rpc_v2_cbor import named_in

_PROTOCOLS = frozenset({"json", "query", "rest-json", "rest-xml"})


class UnservedServices:
    """Which service a signing name or a target prefix belongs to, of all that botocore describes."""

    def find(self, signing_name: str | None, target_prefix: str | None) -> tuple[str, str] | None:
        """The name and the protocol of a service. Of several that share a signing name, the one named like it."""
        for key in (target_prefix, signing_name):
            if key is not None and key in self._index:
                return self._index[key]
        return None

    @cached_property
    def _index(self) -> dict[str, tuple[str, str]]:
        """Read once, when first asked: the first kilobytes of some 400 files, a tenth of a second."""
        index: dict[str, tuple[str, str]] = {}
        for head in read_all_heads():
            spoken = [name for name in head.protocols if name in _PROTOCOLS]
            found = head.name, spoken[0] if spoken else "query"
            index[head.name] = found
            for key in (head.signing_name, head.endpoint_prefix, head.target_prefix):
                if key is not None:
                    index.setdefault(key, found)
        return index

    def name_operation(self, name: str, request: Request) -> str:
        """Which operation of the service is meant; its method and path where no operation is."""
        named = named_in(request)
        if named is not None:
            return named[1]
        wire = Catalogue().service(name)
        try:
            routed = protocol_of(wire, request).match(wire, request)
        except (ServiceError, LookupError):
            routed = None
        if routed is not None:
            return routed.operation
        return read_parameter(request, "Action") or f"{request.method} {request.path}"
