"""Keep a key for the user of a data folder, so that nobody types one on the own machine."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from facetag.access.keys import LINK_LIFE, Scope, create_key, find_caller
from facetag.access.tokens import Token
from facetag.db.tables import KeyKind
from facetag.standalone.credentials import write_private
from facetag.standalone.key_file import key_path, read_local_key

NAME = "this machine"


def keep_local_key(session: Session, data_dir: Path, *, tenant_id: str) -> None:
    """Make a key for the data folder's owner, unless the folder holds a valid one of the tenant."""
    token = Token.parse(read_local_key(data_dir) or "")
    if token is not None:
        caller = find_caller(session, token, kind=KeyKind.KEY)
        if caller is not None and caller.tenant_id == tenant_id:
            return
    made = create_key(session, name=NAME, tenant_id=tenant_id, scope=Scope.ADMIN)
    write_private(key_path(data_dir), made.text)


def make_page_link(
    session: Session,
    api_url: str,
    *,
    tenant_id: str,
    name: str = "page",
    scope: Scope = Scope.ADMIN,
    life: timedelta = LINK_LIFE,
) -> str:
    """Return a link to the page that works once, for a person of this name."""
    link = create_key(
        session, name=name, tenant_id=tenant_id, scope=scope, life=life, kind=KeyKind.LINK
    )
    return f"{api_url}/login?code={link.text}"
