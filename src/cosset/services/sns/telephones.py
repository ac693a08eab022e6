"""The operations on text messages, of which none is ever sent: an account's settings are kept, nobody has opted out.

Publishing to a number says by name that it is not there (publishing.py), and so does subscribing one (endpoints.py).
"""

from sqlalchemy import delete, insert, select

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.sns.endpoints import is_phone_number
from cosset.services.sns.errors import invalid
from cosset.services.sns.requirements import on_everything
from cosset.services.sns.tables import sns_sms_attributes
from cosset.store.database import Store, Transaction

_NAMES = frozenset(
    {"MonthlySpendLimit", "DeliveryStatusIAMRole", "DeliveryStatusSuccessSamplingRate", "DefaultSenderID"}
    | {"DefaultSMSType", "UsageReportS3Bucket"}
)
_TYPES = ("Promotional", "Transactional")


class Telephones:
    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("SetSMSAttributes", on_everything("SetSMSAttributes"))
    async def set_sms_attributes(self, ctx: Context, params: Params) -> None:
        given = params["attributes"]
        for name, value in given.items():
            if name not in _NAMES:
                raise invalid(f"{name} is not a valid attribute")
            if name == "DefaultSMSType" and value not in _TYPES:
                raise invalid("DefaultSMSType is invalid")

        def work(tx: Transaction) -> None:
            kept = {**_attributes(tx, ctx), **given}
            columns = sns_sms_attributes.c
            tx.execute(delete(sns_sms_attributes).where(columns.account == ctx.account, columns.region == ctx.region))
            row = {"account": ctx.account, "region": ctx.region, "attributes": kept}
            tx.execute(insert(sns_sms_attributes).values(**row))

        await self._store.write(work)

    @operation("GetSMSAttributes", on_everything("GetSMSAttributes"))
    async def get_sms_attributes(self, ctx: Context, params: Params) -> Result:
        kept = await self._store.read(lambda tx: _attributes(tx, ctx))
        wanted = params.get("attributes") or list(kept)
        return {"attributes": {name: kept[name] for name in wanted if name in kept}}

    @operation("CheckIfPhoneNumberIsOptedOut", on_everything("CheckIfPhoneNumberIsOptedOut"))
    async def check_if_phone_number_is_opted_out(self, ctx: Context, params: Params) -> Result:
        _check_number(params["phoneNumber"])
        return {"isOptedOut": False}

    @operation("ListPhoneNumbersOptedOut", on_everything("ListPhoneNumbersOptedOut"))
    async def list_phone_numbers_opted_out(self, ctx: Context, params: Params) -> Result:
        return {"phoneNumbers": []}

    @operation("OptInPhoneNumber", on_everything("OptInPhoneNumber"))
    async def opt_in_phone_number(self, ctx: Context, params: Params) -> None:
        """Nobody has opted out, so everybody is in."""
        _check_number(params["phoneNumber"])

    @operation("GetSMSSandboxAccountStatus", on_everything("GetSMSSandboxAccountStatus"))
    async def get_sms_sandbox_account_status(self, ctx: Context, params: Params) -> Result:
        """As of every new account of AWS, and none is ever let out."""
        return {"IsInSandbox": True}

    @operation("ListSMSSandboxPhoneNumbers", on_everything("ListSMSSandboxPhoneNumbers"))
    async def list_sms_sandbox_phone_numbers(self, ctx: Context, params: Params) -> Result:
        """Adding one means sending it a code, which says by name that it is not there."""
        return {"PhoneNumbers": []}

    @operation("ListOriginationNumbers", on_everything("ListOriginationNumbers"))
    async def list_origination_numbers(self, ctx: Context, params: Params) -> Result:
        return {"PhoneNumbers": []}


def _attributes(tx: Transaction, ctx: Context) -> dict[str, str]:
    columns = sns_sms_attributes.c
    query = select(columns.attributes).where(columns.account == ctx.account, columns.region == ctx.region)
    row = tx.execute(query).one_or_none()
    return {} if row is None else dict(row.attributes)


def _check_number(number: str) -> None:
    if not is_phone_number(number):
        raise invalid("PhoneNumber Reason: input incorrectly formatted")
