"""The operations that are this installation's own and no AWS service's: access that was recorded, accounts.

AWS has no model of them: `gateway/own_operations.py` carries them, signed like any call and decided by the same IAM.
"""

from cosset.services.installation.access import AccessOperations
from cosset.services.installation.access_log import AccessLog
from cosset.services.installation.accounts import AccountOperations, Accounts
from cosset.services.operation import Service

NAME = "cosset"


def installation_service(log: AccessLog, accounts: Accounts, audit: bool) -> Service:
    return Service.of(NAME, [AccessOperations(log, audit=audit), AccountOperations(accounts)])
