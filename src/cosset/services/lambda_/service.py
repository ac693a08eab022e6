"""The Lambda service as this installation offers it: which operations there are, and what they stand on.

What is not in the table answers by name that it is not implemented; the gateway sees to that.
"""

from cosset.functions.registry import Functions
from cosset.invocation.api import Invoker
from cosset.services.lambda_.account import AccountOperations
from cosset.services.lambda_.aliases import AliasOperations
from cosset.services.lambda_.code_links import CodeLinks
from cosset.services.lambda_.code_signing import CodeSigningOperations
from cosset.services.lambda_.concurrency import ConcurrencyOperations
from cosset.services.lambda_.event_invoke import EventInvokeOperations
from cosset.services.lambda_.event_source_mappings import EventSourceMappingOperations
from cosset.services.lambda_.functions import FunctionOperations
from cosset.services.lambda_.invoke import InvokeOperations
from cosset.services.lambda_.layers import LayerOperations
from cosset.services.lambda_.policies import PolicyOperations, grantable_actions
from cosset.services.lambda_.provisioned import ProvisionedConcurrencyOperations, Provisions
from cosset.services.lambda_.recursion import RecursionOperations
from cosset.services.lambda_.runtime_management import RuntimeManagementOperations
from cosset.services.lambda_.streaming import StreamingOperations
from cosset.services.lambda_.tags import TagOperations
from cosset.services.lambda_.urls import UrlOperations
from cosset.services.lambda_.versions import VersionOperations
from cosset.services.operation import Service
from cosset.triggers.mappings import EventSourceMappings


def lambda_service(
    functions: Functions, invoker: Invoker, links: CodeLinks, mappings: EventSourceMappings, provisions: Provisions
) -> Service:
    """Serve `links.answer` under `code_links.PATH` too, as a plain route."""
    parts: list[object] = [
        FunctionOperations(functions, links),
        VersionOperations(functions),
        AliasOperations(functions),
        TagOperations(functions, mappings),
        LayerOperations(functions, links),
        ConcurrencyOperations(functions),
        ProvisionedConcurrencyOperations(functions, provisions),
        EventInvokeOperations(functions),
        RecursionOperations(functions),
        CodeSigningOperations(functions),
        RuntimeManagementOperations(functions),
        AccountOperations(functions),
        InvokeOperations(functions, invoker),
        StreamingOperations(functions, invoker),
        UrlOperations(functions),
        EventSourceMappingOperations(mappings),
    ]
    others = Service.of("lambda", parts).operations
    return Service.of("lambda", [*parts, PolicyOperations(functions, grantable_actions(others))])
