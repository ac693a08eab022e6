"""What a function's role may do, for Lambda when it calls another service on the function's behalf.

Asked with the role's own credentials, as the function would call: there is no second way in.
"""

from cosset.identity.ports import Authorizer, KeyDirectory, Requirement, SessionIssuer
from cosset.wire.errors import ServiceError

_SESSION_S = 900
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


class RoleRights:
    """Implements invocation.destinations.DeliveryRights."""

    def __init__(self, sessions: SessionIssuer, keys: KeyDirectory, authorizer: Authorizer) -> None:
        self._sessions = sessions
        self._keys = keys
        self._authorizer = authorizer

    async def may(self, role_arn: str, function_arn: str, action: str, resource: str) -> bool:
        """`function_arn` is unqualified. False also for a role that is gone, or does not trust Lambda any more."""
        name = function_arn.rpartition(":")[2]
        try:
            credentials = await self._sessions.issue(role_arn, name, _SESSION_S, function_arn)
            known = await self._keys.find_key(credentials.access_key_id, credentials.session_token)
            if known is None:
                return False
            await self._authorizer.authorize(known.principal, [Requirement(action, resource)])
        except ServiceError as error:
            if error.code in _DENIED:
                return False
            raise
        return True
