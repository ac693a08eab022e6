"""MFA delete: versions of a bucket go, and its versioning changes, only for who shows a second factor with the call.

On AWS the account's root user alone switches it on; here a user of the account does, with a device of its own. What the
devices are: services/iam/mfa_devices.py.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiFactorAuthenticationDelete.html
"""

from cosset.identity.principal import PrincipalKind
from cosset.services.operation import Context
from cosset.services.s3.bucket_book import read_setting
from cosset.services.s3.errors import invalid_argument
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket
from cosset.services.s3.ports import SecondFactors
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

ON, OFF = "Enabled", "Disabled"


class MfaDeletes:
    def __init__(self, devices: SecondFactors) -> None:
        self._devices = devices

    async def is_shown(self, ctx: Context, header: str | None) -> bool:
        """Did the caller bring a code of a device of its own? The code is taken.

        Raises: ServiceError InvalidArgument, AccessDenied (a code that is none).
        """
        if header is None:
            return False
        serial, space, code = header.partition(" ")
        if not space or not serial or not code or " " in code:
            sentence = "Mfa header is invalid -- the header should be formatted as {serialNumber}(space){tokenCode}"
            raise invalid_argument(sentence, "x-amz-mfa", header)
        caller = ctx.principal
        if caller.kind is not PrincipalKind.USER or caller.is_temporary:
            raise needs_mfa()
        if not await self._devices.verify(caller.account, caller.arn.rpartition("/")[2], serial, code):
            raise needs_mfa()
        return True


def is_on(tx: Transaction, bucket: Bucket) -> bool:
    return bool(read_setting(tx, bucket.name, Kind.MFA_DELETE) == ON)


def check_shown(tx: Transaction, bucket: Bucket, *, is_shown: bool) -> None:
    """Before a version goes, or versioning changes. Raises: ServiceError AccessDenied."""
    if not is_shown and is_on(tx, bucket):
        raise needs_mfa()


def needs_mfa() -> ServiceError:
    return ServiceError("AccessDenied", "Mfa Authentication must be used for this request", status=403)
