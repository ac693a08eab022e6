"""The STS operations that tell: who am I, whose key is this, why was I refused."""

from collections.abc import Sequence

from cosset.identity.authorization_messages import open_message
from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, Result, no_requirements, operation
from cosset.services.sts.ports import RoleDirectory
from cosset.wire.errors import ServiceError


def _decode(ctx: Context, params: Params) -> Sequence[Requirement]:
    return [Requirement("sts:DecodeAuthorizationMessage", "*")]


def _whose_key(ctx: Context, params: Params) -> Sequence[Requirement]:
    return [Requirement("sts:GetAccessKeyInfo", "*")]


class Identity:
    def __init__(self, directory: RoleDirectory) -> None:
        self._directory = directory

    @operation("GetCallerIdentity", no_requirements)
    async def get_caller_identity(self, ctx: Context, params: Params) -> Result:
        return {"UserId": ctx.principal.user_id, "Account": ctx.principal.account, "Arn": ctx.principal.arn}

    @operation("GetAccessKeyInfo", _whose_key)
    async def get_access_key_info(self, ctx: Context, params: Params) -> Result:
        """Of any account's keys, as on AWS."""
        key_id = params["AccessKeyId"]
        account = await self._directory.account_of_key(key_id)
        if account is None:
            raise ServiceError("ValidationError", f"Invalid Access Key ID: {key_id}")
        return {"Account": account}

    @operation("DecodeAuthorizationMessage", _decode)
    async def decode_authorization_message(self, ctx: Context, params: Params) -> Result:
        """Of messages that this installation sealed for the caller's account, and of no others."""
        secret = await self._directory.session_secret()
        message = open_message(secret, ctx.account, params["EncodedMessage"])
        if message is None:
            raise ServiceError("InvalidAuthorizationMessageException", "Message is not valid.")
        return {"DecodedMessage": message}
