"""Open a session of the page by a one-time link, and end it."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from facetag.access.keys import SESSION_LIFE, open_page_session, revoke_key
from facetag.access.tokens import Token
from facetag.db.engine import transaction
from facetag_api.dependencies import AtDesk
from facetag_api.middleware.authentication import COOKIE, page_of_words
from facetag_api.middleware.security import OWN_FETCH_SITES

router = APIRouter(include_in_schema=False)


@router.get("/login")
def login(request: Request, code: str = "") -> Response:
    """Exchange the link's code for a cookie that scripts cannot read, and show the page.

    Another site's page may not send anybody here: it would log its visitor in under its own key,
    and get what he sends.
    """
    if request.headers.get("sec-fetch-site", "none") not in OWN_FETCH_SITES:
        return page_of_words(
            "Another site sent you here",
            "If you wanted this, copy the link into the address bar.",
            status=403,
        )
    if "prefetch" in request.headers.get("sec-purpose", ""):
        # A look ahead must not use the link up.
        return Response(status_code=503)
    link = Token.parse(code)
    made = None
    if link is not None:
        with transaction(request.app.state.services.sessions) as session:
            made = open_page_session(session, link)
    if made is None:
        return page_of_words(
            "This link does not work",
            "It was used already, or it is too old. `facetag keys link` prints a new one.",
            status=403,
        )
    answer = RedirectResponse("/", status_code=303)
    answer.set_cookie(
        COOKIE,
        made.text,
        max_age=int(SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/logout", status_code=204, tags=["session"])
def logout(desk: AtDesk) -> Response:
    """End the session, or revoke the key, with which this is asked."""
    with desk.transaction() as session:
        revoke_key(session, desk.caller.key_id)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer
