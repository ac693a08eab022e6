"""STS as this installation serves it: who am I, and temporary credentials. Federation is not there."""

from cosset.services.operation import Service
from cosset.services.sts.ports import RoleDirectory, SessionMaker
from cosset.services.sts.sessions import StsSessions


def sts_service(directory: RoleDirectory, sessions: SessionMaker) -> Service:
    return Service.of("sts", [StsSessions(directory, sessions)], validation_code="ValidationError")
