"""The server certificate operations. Private keys are sealed at rest and told to nobody, as on AWS."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes, new_unique_id
from cosset.services.iam.certificates import check_chain, check_private_key, read_certificate
from cosset.services.iam.errors import already_exists, limit_exceeded, no_such_entity
from cosset.services.iam.paging import page
from cosset.services.iam.requirements import on_everything, on_new, on_renamed, on_server_certificate
from cosset.services.iam.shapes import read_tags, tag_list, tags_shown, without_tags
from cosset.services.iam.tables import server_certificates
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction

_NAME = "ServerCertificateName"
_QUOTA = 20
_KEY = server_certificates.c.private_key


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """Without its private key."""

    account: str
    unique_id: str
    name: str
    path: str
    body: str
    chain: str | None
    expires_ms: int
    tags: Mapping[str, str]
    uploaded_ms: int

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:server-certificate{self.path}{self.name}"


class ServerCertificates:
    def __init__(self, store: Store, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("UploadServerCertificate", on_new("UploadServerCertificate", "server-certificate", _NAME))
    async def upload(self, ctx: Context, params: Params) -> Result:
        # Off the loop: a key's numbers are checked, which takes its time.
        found = await asyncio.to_thread(read_certificate, params["CertificateBody"])
        private_key = await asyncio.to_thread(check_private_key, params["PrivateKey"], found)
        made = ServerCertificate(
            ctx.account,
            new_unique_id("ASCA", self._random_bytes),
            params[_NAME],
            params.get("Path", "/"),
            found.body,
            check_chain(params["CertificateChain"]) if "CertificateChain" in params else None,
            found.expires_ms,
            read_tags(params.get("Tags", [])),
            self._clock.now_ms(),
        )
        await self._store.write(lambda tx: _add(tx, made, private_key))
        return {"ServerCertificateMetadata": _metadata(made)} | tags_shown(made.tags)

    @operation("GetServerCertificate", on_server_certificate("GetServerCertificate"))
    async def get(self, ctx: Context, params: Params) -> Result:
        found = await self._store.read(lambda tx: need_server_certificate(tx, ctx.account, params[_NAME]))
        shown: dict[str, Any] = {"ServerCertificateMetadata": _metadata(found), "CertificateBody": found.body}
        if found.chain is not None:
            shown["CertificateChain"] = found.chain
        return {"ServerCertificate": shown | {"Tags": tag_list(found.tags)}}

    @operation("ListServerCertificates", on_everything("ListServerCertificates", "server-certificate/"))
    async def list_all(self, ctx: Context, params: Params) -> Result:
        query = select(server_certificates).where(server_certificates.c.account == ctx.account)
        found = await self._store.read(lambda tx: [_certificate_of(row) for row in tx.execute(query)])
        matching = [each for each in found if each.path.startswith(params.get("PathPrefix", "/"))]
        return page("ServerCertificateMetadataList", matching, lambda each: each.name.lower(), _metadata, params)

    @operation(
        "UpdateServerCertificate",
        on_renamed("UpdateServerCertificate", "server-certificate", _NAME, "NewServerCertificateName"),
    )
    async def update(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            found = need_server_certificate(tx, ctx.account, params[_NAME])
            name = params.get("NewServerCertificateName", found.name)
            if name.lower() != found.name.lower():
                _refuse_taken_name(tx, ctx.account, name)
            changes = {"name": name, "name_key": name.lower(), "path": params.get("NewPath", found.path)}
            tx.execute(update(server_certificates).where(*_row_of(found)).values(**changes))

        await self._store.write(work)

    @operation("DeleteServerCertificate", on_server_certificate("DeleteServerCertificate"))
    async def delete(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            tx.execute(
                delete(server_certificates).where(*_row_of(need_server_certificate(tx, ctx.account, params[_NAME])))
            )

        await self._store.write(work)

    @operation("TagServerCertificate", on_server_certificate("TagServerCertificate"))
    async def tag(self, ctx: Context, params: Params) -> None:
        await self._retag(ctx, params, lambda tags: read_tags(params["Tags"], tags))

    @operation("UntagServerCertificate", on_server_certificate("UntagServerCertificate"))
    async def untag(self, ctx: Context, params: Params) -> None:
        await self._retag(ctx, params, lambda tags: without_tags(tags, params["TagKeys"]))

    @operation("ListServerCertificateTags", on_server_certificate("ListServerCertificateTags"))
    async def list_tags(self, ctx: Context, params: Params) -> Result:
        found = await self._store.read(lambda tx: need_server_certificate(tx, ctx.account, params[_NAME]))
        return page("Tags", tag_list(found.tags), lambda tag: tag["Key"], lambda tag: tag, params)

    async def _retag(self, ctx: Context, params: Params, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
        def work(tx: Transaction) -> None:
            found = need_server_certificate(tx, ctx.account, params[_NAME])
            tx.execute(update(server_certificates).where(*_row_of(found)).values(tags=change(found.tags)))

        await self._store.write(work)


def need_server_certificate(tx: Transaction, account: str, name: str) -> ServerCertificate:
    """The certificate. Raises ServiceError NoSuchEntity (recorded: test_server_certificate)."""
    found = find_server_certificate(tx, account, name)
    if found is None:
        raise no_such_entity(f"The Server Certificate with name {name} cannot be found.")
    return found


def find_server_certificate(tx: Transaction, account: str, name: str) -> ServerCertificate | None:
    mine = (server_certificates.c.account == account, server_certificates.c.name_key == name.lower())
    row = tx.execute(select(server_certificates).where(*mine)).one_or_none()
    return _certificate_of(row) if row is not None and row.name == name else None


def _add(tx: Transaction, made: ServerCertificate, private_key: str) -> None:
    _refuse_taken_name(tx, made.account, made.name)
    count = select(func.count()).select_from(server_certificates).where(server_certificates.c.account == made.account)
    if tx.execute(count).scalar_one() >= _QUOTA:
        raise limit_exceeded(f"Cannot exceed quota for ServerCertificatesPerAccount: {_QUOTA}")
    tx.execute(
        insert(server_certificates).values(
            account=made.account,
            certificate_id=made.unique_id,
            name_key=made.name.lower(),
            name=made.name,
            path=made.path,
            body=made.body,
            chain=made.chain,
            private_key=tx.seal(_KEY, (made.account, made.unique_id), private_key),
            expires_ms=made.expires_ms,
            tags=dict(made.tags),
            uploaded_ms=made.uploaded_ms,
        )
    )


def _refuse_taken_name(tx: Transaction, account: str, name: str) -> None:
    mine = (server_certificates.c.account == account, server_certificates.c.name_key == name.lower())
    if tx.execute(select(server_certificates.c.name).where(*mine)).first() is not None:
        raise already_exists(f"The Server Certificate with name {name} already exists.")


def _row_of(found: ServerCertificate) -> tuple[Any, ...]:
    mine = server_certificates.c.certificate_id == found.unique_id
    return server_certificates.c.account == found.account, mine


def _certificate_of(row: Any) -> ServerCertificate:
    return ServerCertificate(
        row.account,
        row.certificate_id,
        row.name,
        row.path,
        row.body,
        row.chain,
        row.expires_ms,
        dict(row.tags),
        row.uploaded_ms,
    )


def _metadata(found: ServerCertificate) -> dict[str, Any]:
    return {
        "Path": found.path,
        "ServerCertificateName": found.name,
        "ServerCertificateId": found.unique_id,
        "Arn": found.arn,
        "UploadDate": found.uploaded_ms // 1000,
        "Expiration": found.expires_ms // 1000,
    }
