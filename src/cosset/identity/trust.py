"""Whom a role's trust policy lets in. Until the policy evaluator exists, a condition is never taken as met.

An Allow under a condition therefore lets nobody in, and a Deny under one keeps out whoever it names: the safe side.
"""

from cosset.identity.matching import matches_any
from cosset.identity.policy_document import PolicyDocument, Statement
from cosset.identity.principal import Principal, PrincipalKind

ASSUME_ROLE = "sts:AssumeRole"


def trusts_service(policy: PolicyDocument, service: str) -> bool:
    """May `service` (`lambda.amazonaws.com`) assume the role?"""
    return _decide(policy, {"Service": {service}})


def trusts_principal(policy: PolicyDocument, principal: Principal) -> bool:
    """May this user or session assume the role, as far as the role is concerned?

    A policy names an account by its id or its root, a user or a role by its ARN, or everyone by `*`.
    """
    names = {principal.account, f"arn:aws:iam::{principal.account}:root", principal.arn, "*"}
    if principal.kind is PrincipalKind.ROLE and principal.role_arn is not None:
        names.add(principal.role_arn)
    return _decide(policy, {"AWS": names})


def _decide(policy: PolicyDocument, names: dict[str, set[str]]) -> bool:
    relevant = [each for each in policy.statements if _names_action(each) and _names_principal(each, names)]
    if any(not each.allows for each in relevant):
        return False
    return any(each.allows and not each.conditions for each in relevant)


def _names_action(statement: Statement) -> bool:
    if statement.not_actions:
        return not matches_any(ASSUME_ROLE, statement.not_actions, ignore_case=True)
    return matches_any(ASSUME_ROLE, statement.actions, ignore_case=True)


def _names_principal(statement: Statement, names: dict[str, set[str]]) -> bool:
    if statement.not_principals is not None:
        # Only Deny takes NotPrincipal: it names everyone but those listed.
        listed = any(names.get(kind, set()) & set(values) for kind, values in statement.not_principals.items())
        return not statement.allows and not listed
    principals = statement.principals or {}
    if "*" in principals:
        return True
    return any(names.get(kind, set()) & set(values) for kind, values in principals.items())
