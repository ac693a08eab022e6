"""IAM as this installation serves it: the operations that tools call while they make functions, and their kin.

Policies are kept and shown exactly; what reads them is `identity/authorizer.py`. Tables: `tables.py`.
"""

import secrets

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes
from cosset.services.iam.access_keys import AccessKeys
from cosset.services.iam.account import Account
from cosset.services.iam.attachments import Attachments
from cosset.services.iam.inline_policies import InlinePolicies
from cosset.services.iam.policies import Policies
from cosset.services.iam.policy_book import PolicyBook
from cosset.services.iam.roles import Roles
from cosset.services.iam.tags import Tags
from cosset.services.iam.users import Users
from cosset.services.operation import Service
from cosset.store.database import Store


def iam_service(store: Store, clock: Clock, random_bytes: RandomBytes = secrets.token_bytes) -> Service:
    book = PolicyBook()
    parts = [
        Roles(store, book, clock, random_bytes),
        Users(store, book, clock, random_bytes),
        AccessKeys(store, clock, random_bytes),
        Policies(store, book, clock, random_bytes),
        Attachments(store, book, clock),
        InlinePolicies(store),
        Tags(store, book),
        Account(store),
    ]
    return Service.of("iam", parts, validation_code="ValidationError")
