"""STS as this installation serves it: who am I, and temporary credentials. SAML federation is not there."""

from cosset.services.operation import Service
from cosset.services.sts.identity import Identity
from cosset.services.sts.ports import RoleDirectory, SessionMaker
from cosset.services.sts.roles import AssumeRole
from cosset.services.sts.sessions import UserSessions


def sts_service(directory: RoleDirectory, sessions: SessionMaker) -> Service:
    parts = [Identity(directory), AssumeRole(directory, sessions), UserSessions(sessions)]
    return Service.of("sts", parts, validation_code="ValidationError")
