"""Record who did what, when and to how many; never a face, a name of a photo or a label."""

import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from facetag.db.tables import AuditLine

SWEEPER = "sweeper"


def record(
    session: Session, action: str, *, tenant_id: str, actor: str, subject: object, number: int
) -> None:
    """Write a line: `actor` did `action` to `subject`, a job's id or a key's, `number` times."""
    session.add(
        AuditLine(
            tenant_id=tenant_id, actor=actor, action=action, subject=str(subject), number=number
        )
    )


def list_lines(
    session: Session, *, tenant_id: str, limit: int = 100, subject: uuid.UUID | None = None
) -> Sequence[AuditLine]:
    """Return a tenant's lines, the newest first."""
    query = select(AuditLine).where(AuditLine.tenant_id == tenant_id)
    if subject is not None:
        query = query.where(AuditLine.subject == str(subject))
    return session.scalars(query.order_by(AuditLine.id.desc()).limit(limit)).all()
