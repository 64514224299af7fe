"""Label one photo while the caller waits (the upload endpoint of the paper's service)."""

from typing import Annotated, Any

import anyio
from fastapi import APIRouter, File, Request, UploadFile

from facetag.db.storable_text import storable
from facetag.results.name_escapes import MAX_NAME
from facetag_api.dependencies import AtDesk
from facetag_api.openapi import problems
from facetag_api.prediction import Prediction, predict_place
from facetag_api.problems import BodyTooLarge
from facetag_api.routes.uploads import require_storage_space
from facetag_api.schemas import ImageLine

router = APIRouter(tags=["predict"])


@router.post(
    "/v1/predict",
    response_model=ImageLine,
    response_model_exclude_unset=True,
    responses=problems(413, 422, 503, 504, 507),
)
async def predict(
    request: Request,
    desk: AtDesk,
    file: Annotated[UploadFile, File(description="One photo")],
) -> dict[str, Any]:
    """Label the faces in one photo, and keep nothing of it.

    The photo goes ahead of all jobs. If it cannot be read, the answer is 200 with a line whose
    `state` is `failed`. For more than a few photos, create a job.
    """
    max_bytes = desk.services.settings.max_image_bytes
    if file.size is not None and file.size > max_bytes:
        raise BodyTooLarge(max_bytes)
    require_storage_space(desk, file.size or 0)
    sent = file.filename or "photo"
    name = storable(sent, len(sent))[-MAX_NAME:]
    async with predict_place(desk):
        prediction = Prediction(desk, name)
        try:
            # Only a few at a time, so that large photos do not fill the memory.
            async with desk.services.predict_transfers:
                await prediction.submit(await file.read())
            return await prediction.wait_for_line(request.is_disconnected)
        finally:
            with anyio.CancelScope(shield=True):
                await prediction.forget()
