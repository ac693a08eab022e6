"""The operations on users' long-term access keys. A secret is told once, by CreateAccessKey."""

from typing import Any

from sqlalchemy import delete, func, insert, select, update

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes, new_access_key_id, secret_text
from cosset.services.iam.errors import limit_exceeded, no_such_entity
from cosset.services.iam.owners import need_user
from cosset.services.iam.paging import page
from cosset.services.iam.records import CHANGES, User, find_access_key
from cosset.services.iam.requirements import on_everything, on_user
from cosset.services.iam.tables import access_keys, key_uses
from cosset.services.iam.users import caller_or_named
from cosset.services.iam.uses import find_key_use
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction

_QUOTA = 2


class AccessKeys:
    def __init__(self, store: Store, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("CreateAccessKey", on_user("CreateAccessKey"))
    async def create_access_key(self, ctx: Context, params: Params) -> Result:
        name = caller_or_named(ctx, params)
        key_id, secret = new_access_key_id("AKIA", self._random_bytes), secret_text(self._random_bytes(30))
        now_ms = self._clock.now_ms()

        def work(tx: Transaction) -> User:
            user = need_user(tx, ctx.account, name)
            count = select(func.count()).select_from(access_keys).where(*_of_user(ctx, user))
            if tx.execute(count).scalar_one() >= _QUOTA:
                raise limit_exceeded(f"Cannot exceed quota for AccessKeysPerUser: {_QUOTA}")
            tx.execute(
                insert(access_keys).values(
                    access_key_id=key_id,
                    account=ctx.account,
                    user_key=user.name.lower(),
                    status="Active",
                    secret=tx.seal(access_keys.c.secret, (key_id,), secret),
                    created_ms=now_ms,
                )
            )
            tx.announce(CHANGES, ctx.account)
            return user

        user = await self._store.write(work)
        return {
            "AccessKey": {
                "UserName": user.name,
                "AccessKeyId": key_id,
                "Status": "Active",
                "SecretAccessKey": secret,
                "CreateDate": now_ms // 1000,
            }
        }

    @operation("ListAccessKeys", on_user("ListAccessKeys"))
    async def list_access_keys(self, ctx: Context, params: Params) -> Result:
        name = caller_or_named(ctx, params)

        def work(tx: Transaction) -> list[dict[str, Any]]:
            user = need_user(tx, ctx.account, name)
            columns = (access_keys.c.access_key_id, access_keys.c.status, access_keys.c.created_ms)
            return [
                {
                    "UserName": user.name,
                    "AccessKeyId": row.access_key_id,
                    "Status": row.status,
                    "CreateDate": row.created_ms // 1000,
                }
                for row in tx.execute(select(*columns).where(*_of_user(ctx, user)))
            ]

        keys = await self._store.read(work)
        return page("AccessKeyMetadata", keys, lambda key: str(key["AccessKeyId"]), lambda key: key, params)

    @operation("GetAccessKeyLastUsed", on_everything("GetAccessKeyLastUsed", "user/*"))
    async def get_access_key_last_used(self, ctx: Context, params: Params) -> Result:
        """Whose the key is, and its last use; `N/A` where there was none."""
        key_id = params["AccessKeyId"]
        key, use = await self._store.read(lambda tx: (find_access_key(tx, key_id), find_key_use(tx, key_id)))
        if key is None or key.owner.account != ctx.account:
            raise no_such_entity(f"The Access Key with id {params['AccessKeyId']} cannot be found.")
        last: dict[str, Any] = {"ServiceName": "N/A", "Region": "N/A"}
        if use is not None:
            last = {"LastUsedDate": use.used_ms // 1000, "ServiceName": use.service, "Region": use.region}
        return {"UserName": key.owner.name, "AccessKeyLastUsed": last}

    @operation("UpdateAccessKey", on_user("UpdateAccessKey"))
    async def update_access_key(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            mine = self._need_key(tx, ctx, params)
            tx.execute(update(access_keys).where(*mine).values(status=params["Status"]))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    @operation("DeleteAccessKey", on_user("DeleteAccessKey"))
    async def delete_access_key(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            tx.execute(delete(access_keys).where(*self._need_key(tx, ctx, params)))
            tx.execute(delete(key_uses).where(key_uses.c.access_key_id == params["AccessKeyId"]))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    def _need_key(self, tx: Transaction, ctx: Context, params: Params) -> tuple[Any, ...]:
        user = need_user(tx, ctx.account, caller_or_named(ctx, params))
        mine = (*_of_user(ctx, user), access_keys.c.access_key_id == params["AccessKeyId"])
        if tx.execute(select(access_keys.c.access_key_id).where(*mine)).first() is None:
            raise no_such_entity(f"The Access Key with id {params['AccessKeyId']} cannot be found.")
        return mine


def _of_user(ctx: Context, user: User) -> tuple[Any, ...]:
    return access_keys.c.account == ctx.account, access_keys.c.user_key == user.name.lower()
