"""Create, list, find and revoke the keys with which clients use the API."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from facetag.access.tokens import Token
from facetag.db.tables import ApiKey, KeyKind
from facetag.errors import KeyRefused, KeyUnknown

MAX_NAME = 200
MAX_LIFE = timedelta(days=100_000)
"""Python reads no time past the year 9999, and then no list of keys."""
SESSION_LIFE = timedelta(days=7)
LINK_LIFE = timedelta(hours=1)
USE_RECORDED_S = 60
"""Seconds within which a further use of a key is not written down."""

_TENANT = re.compile(r"[a-z0-9-]{1,64}")


class Scope(StrEnum):
    """Name what a key allows."""

    READ = "read"
    JOBS = "jobs"
    REVIEW = "review"
    ADMIN = "admin"


GRANTS: dict[Scope, frozenset[Scope]] = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.JOBS: frozenset({Scope.READ, Scope.JOBS}),
    Scope.REVIEW: frozenset({Scope.READ, Scope.REVIEW}),
    Scope.ADMIN: frozenset(Scope),
}
"""What each scope includes."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: the key's id and name, its tenant and its scope."""

    key_id: str
    name: str
    tenant_id: str
    scope: Scope

    @property
    def shown(self) -> str:
        """The key as the audit log names it."""
        return f"{self.key_id} {self.name}"

    def may(self, scope: Scope) -> bool:
        """Return whether the key includes this scope."""
        return scope in GRANTS[self.scope]


def create_key(
    session: Session,
    *,
    name: str,
    tenant_id: str,
    scope: Scope,
    life: timedelta | None = None,
    kind: KeyKind = KeyKind.KEY,
) -> Token:
    """Store a new key and return its token, which nobody can read again. Raises KeyRefused."""
    if not _TENANT.fullmatch(tenant_id):
        raise KeyRefused("Give the tenant as 1 to 64 of a-z, 0-9 and hyphens.")
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise KeyRefused(f"Give a name of 1 to {MAX_NAME} printable characters.")
    if life is not None and life <= timedelta(0):
        raise KeyRefused("Give a time in the future at which the key expires.")
    if life is not None and life > MAX_LIFE:
        raise KeyRefused(f"Give a time within {MAX_LIFE.days} days, or none for a key for ever.")
    token = Token.make()
    session.add(
        ApiKey(
            id=token.id,
            kind=kind,
            tenant_id=tenant_id,
            name=name,
            scope=scope,
            secret_sha256=token.sha256,
            expires_at=None if life is None else func.now() + life,
        )
    )
    session.flush()
    return token


def find_caller(session: Session, token: Token, *, kind: KeyKind) -> Caller | None:
    """Return whom a token belongs to; None if it is unknown, expired or revoked."""
    row = session.scalar(
        select(ApiKey).where(ApiKey.id == token.id, ApiKey.kind == kind, *_is_valid())
    )
    if row is None or not token.matches(row.secret_sha256):
        return None
    return Caller(row.id, row.name, row.tenant_id, Scope(row.scope))


def is_valid_key(session: Session, key_id: str) -> bool:
    """Return whether a key has neither expired nor been revoked."""
    return bool(session.scalar(select(ApiKey.id).where(ApiKey.id == key_id, *_is_valid())))


def record_use(session: Session, key_id: str) -> None:
    """Write down that a key is used now, at most once per USE_RECORDED_S."""
    earlier = func.now() - timedelta(seconds=USE_RECORDED_S)
    session.execute(
        update(ApiKey)
        .where(
            ApiKey.id == key_id,
            or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < earlier),
        )
        .values(last_used_at=func.now())
    )


def list_keys(session: Session) -> Sequence[ApiKey]:
    """Return the keys and the page's sessions that are valid, the newest first."""
    return session.scalars(
        select(ApiKey)
        .where(ApiKey.kind != KeyKind.LINK, *_is_valid())
        .order_by(ApiKey.created_at.desc(), ApiKey.id)
    ).all()


def revoke_key(session: Session, key_id: str) -> ApiKey:
    """Make a key useless for good; raises KeyUnknown."""
    row = session.get(ApiKey, key_id, with_for_update=True)
    if row is None or row.revoked_at is not None:
        raise KeyUnknown(f"No valid key has the id {key_id}: `facetag keys list` shows the ids.")
    row.revoked_at = func.now()
    session.flush()
    return row


def open_page_session(session: Session, link: Token) -> Token | None:
    """Exchange a one-time link for a session of the page; None if the link is of no use."""
    made = Token.make()
    found = session.scalar(
        select(ApiKey)
        .where(ApiKey.id == link.id, ApiKey.kind == KeyKind.LINK, *_is_valid())
        .with_for_update()
    )
    if found is None or not link.matches(found.secret_sha256):
        return None
    # The id changes too, so that a link that lies in a browser's history leads nowhere.
    found.id, found.kind, found.secret_sha256 = made.id, KeyKind.SESSION, made.sha256
    found.expires_at = func.now() + SESSION_LIFE
    session.flush()
    return made


def _is_valid() -> tuple[ColumnElement[bool], ...]:
    return (
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()),
    )
