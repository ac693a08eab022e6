"""The operations on users' SSH public keys and signing certificates: kept and shown; no service here asks for them."""

from typing import Any, Literal

from sqlalchemy import delete, insert, select, update

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes, new_unique_id
from cosset.services.iam.certificates import read_certificate, read_ssh_key
from cosset.services.iam.errors import limit_exceeded, no_such_entity
from cosset.services.iam.owners import need_user
from cosset.services.iam.paging import page
from cosset.services.iam.records import User
from cosset.services.iam.requirements import on_user
from cosset.services.iam.tables import public_keys
from cosset.services.iam.users import caller_or_named
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

Kind = Literal["ssh", "signing"]
_QUOTAS: dict[Kind, tuple[str, int]] = {
    "ssh": ("SSHPublicKeysPerUser", 5),
    "signing": ("SigningCertificatesPerUser", 2),
}
_CALLED: dict[Kind, str] = {"ssh": "Public Key", "signing": "Certificate"}
_DUPLICATE: dict[Kind, str] = {"ssh": "DuplicateSSHPublicKey", "signing": "DuplicateCertificate"}


class PublicKeys:
    def __init__(self, store: Store, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("UploadSSHPublicKey", on_user("UploadSSHPublicKey"))
    async def upload_ssh(self, ctx: Context, params: Params) -> Result:
        key = read_ssh_key(params["SSHPublicKeyBody"])
        user, row = await self._add(ctx, "ssh", params["UserName"], key.body, key.fingerprint)
        return {"SSHPublicKey": _ssh_in_full(user, row)}

    @operation("GetSSHPublicKey", on_user("GetSSHPublicKey"))
    async def get_ssh(self, ctx: Context, params: Params) -> Result:
        """In OpenSSH's form or in PEM, as the call asks."""
        encoding = params["Encoding"]
        if encoding not in ("SSH", "PEM"):
            sentence = "The encoding is not supported: SSH or PEM."
            raise ServiceError("UnrecognizedPublicKeyEncoding", sentence, status=400)

        def work(tx: Transaction) -> dict[str, Any]:
            user = need_user(tx, ctx.account, params["UserName"])
            return _ssh_in_full(user, _need(tx, user, "ssh", params["SSHPublicKeyId"]))

        shown = await self._store.read(work)
        if encoding == "PEM":
            shown["SSHPublicKeyBody"] = read_ssh_key(shown["SSHPublicKeyBody"]).pem
        return {"SSHPublicKey": shown}

    @operation("ListSSHPublicKeys", on_user("ListSSHPublicKeys"))
    async def list_ssh(self, ctx: Context, params: Params) -> Result:
        user, rows = await self._of_user(ctx, "ssh", params)
        return page("SSHPublicKeys", rows, lambda row: str(row.key_id), lambda row: _ssh(user, row), params)

    @operation("UpdateSSHPublicKey", on_user("UpdateSSHPublicKey"))
    async def update_ssh(self, ctx: Context, params: Params) -> None:
        await self._set_status(ctx, "ssh", params, params["SSHPublicKeyId"])

    @operation("DeleteSSHPublicKey", on_user("DeleteSSHPublicKey"))
    async def delete_ssh(self, ctx: Context, params: Params) -> None:
        await self._delete(ctx, "ssh", params, params["SSHPublicKeyId"])

    @operation("UploadSigningCertificate", on_user("UploadSigningCertificate"))
    async def upload_signing(self, ctx: Context, params: Params) -> Result:
        found = read_certificate(params["CertificateBody"])
        user, row = await self._add(ctx, "signing", caller_or_named(ctx, params), found.body, found.fingerprint)
        return {"Certificate": _signing(user, row)}

    @operation("ListSigningCertificates", on_user("ListSigningCertificates"))
    async def list_signing(self, ctx: Context, params: Params) -> Result:
        user, rows = await self._of_user(ctx, "signing", params)
        return page("Certificates", rows, lambda row: str(row.key_id), lambda row: _signing(user, row), params)

    @operation("UpdateSigningCertificate", on_user("UpdateSigningCertificate"))
    async def update_signing(self, ctx: Context, params: Params) -> None:
        await self._set_status(ctx, "signing", params, params["CertificateId"])

    @operation("DeleteSigningCertificate", on_user("DeleteSigningCertificate"))
    async def delete_signing(self, ctx: Context, params: Params) -> None:
        await self._delete(ctx, "signing", params, params["CertificateId"])

    async def _add(self, ctx: Context, kind: Kind, name: str, body: str, fingerprint: str) -> tuple[User, Any]:
        key_id = new_unique_id("APKA" if kind == "ssh" else "", self._random_bytes)
        now_ms = self._clock.now_ms()

        def work(tx: Transaction) -> tuple[User, Any]:
            user = need_user(tx, ctx.account, name)
            there = tx.execute(select(public_keys.c.fingerprint).where(*_of(user, kind))).scalars().all()
            if fingerprint in there:
                raise ServiceError(_DUPLICATE[kind], f"User {user.name} has this {_CALLED[kind]} already.", status=400)
            quota, most = _QUOTAS[kind]
            if len(there) >= most:
                raise limit_exceeded(f"Cannot exceed quota for {quota}: {most}")
            tx.execute(
                insert(public_keys).values(
                    key_id=key_id,
                    account=ctx.account,
                    user_key=user.name.lower(),
                    kind=kind,
                    body=body,
                    fingerprint=fingerprint,
                    status="Active",
                    uploaded_ms=now_ms,
                )
            )
            return user, _need(tx, user, kind, key_id)

        return await self._store.write(work)

    async def _of_user(self, ctx: Context, kind: Kind, params: Params) -> tuple[User, list[Any]]:
        name = caller_or_named(ctx, params)

        def work(tx: Transaction) -> tuple[User, list[Any]]:
            user = need_user(tx, ctx.account, name)
            return user, list(tx.execute(select(public_keys).where(*_of(user, kind))))

        return await self._store.read(work)

    async def _set_status(self, ctx: Context, kind: Kind, params: Params, key_id: str) -> None:
        name = caller_or_named(ctx, params)

        def work(tx: Transaction) -> None:
            _need(tx, need_user(tx, ctx.account, name), kind, key_id)
            tx.execute(update(public_keys).where(public_keys.c.key_id == key_id).values(status=params["Status"]))

        await self._store.write(work)

    async def _delete(self, ctx: Context, kind: Kind, params: Params, key_id: str) -> None:
        name = caller_or_named(ctx, params)

        def work(tx: Transaction) -> None:
            _need(tx, need_user(tx, ctx.account, name), kind, key_id)
            tx.execute(delete(public_keys).where(public_keys.c.key_id == key_id))

        await self._store.write(work)


def _of(user: User, kind: Kind) -> tuple[Any, ...]:
    mine = (public_keys.c.account == user.account, public_keys.c.user_key == user.name.lower())
    return (*mine, public_keys.c.kind == kind)


def _need(tx: Transaction, user: User, kind: Kind, key_id: str) -> Any:
    row = tx.execute(select(public_keys).where(*_of(user, kind), public_keys.c.key_id == key_id)).one_or_none()
    if row is None:
        raise no_such_entity(f"The {_CALLED[kind]} with id {key_id} cannot be found.")
    return row


def _ssh(user: User, row: Any) -> dict[str, Any]:
    return {
        "UserName": user.name,
        "SSHPublicKeyId": row.key_id,
        "Status": row.status,
        "UploadDate": row.uploaded_ms // 1000,
    }


def _ssh_in_full(user: User, row: Any) -> dict[str, Any]:
    return _ssh(user, row) | {"Fingerprint": row.fingerprint, "SSHPublicKeyBody": row.body}


def _signing(user: User, row: Any) -> dict[str, Any]:
    return {
        "UserName": user.name,
        "CertificateId": row.key_id,
        "CertificateBody": row.body,
        "Status": row.status,
        "UploadDate": row.uploaded_ms // 1000,
    }
