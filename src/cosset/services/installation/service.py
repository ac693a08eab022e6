"""The operations that are this installation's own and no AWS service's: recorded access, accounts, the bill,
what caused what.

AWS has no model of them: `gateway/own_operations.py` carries them, signed like any call and decided by the same IAM.
"""

from cosset.clock import Clock
from cosset.services.installation.access import AccessOperations
from cosset.services.installation.access_log import AccessLog
from cosset.services.installation.accounts import AccountOperations, Accounts
from cosset.services.installation.billing import BillOperations, Counting, UsageBook
from cosset.services.installation.causes import CauseOperations, CauseRecord, ConfiguredEdges
from cosset.services.operation import Service

NAME = "cosset"


def installation_service(
    log: AccessLog,
    accounts: Accounts,
    used: UsageBook,
    counting: Counting,
    causes: CauseRecord,
    configured: ConfiguredEdges,
    clock: Clock,
    audit: bool,
) -> Service:
    parts = [
        AccessOperations(log, audit=audit),
        AccountOperations(accounts),
        BillOperations(used, counting, clock),
        CauseOperations(causes, configured, clock),
    ]
    return Service.of(NAME, parts)
