"""Give clients forms to upload files straight to object storage, past the API."""

from fastapi import APIRouter, Response

from facetag.disk_space import find_full_storage
from facetag.erasure.deleted_jobs import spare_photos
from facetag.erasure.upload_promises import promise
from facetag.jobs.queries import find_stored
from facetag.storage.object_keys import image_key
from facetag_api.dependencies import AtDesk, Desk
from facetag_api.openapi import problems
from facetag_api.problems import RequestInvalid, count_faults
from facetag_api.schemas import FileToUpload, Upload, UploadForm, UploadList, UploadRequest

router = APIRouter(tags=["uploads"])


@router.post("/v1/uploads", response_model=UploadList, responses=problems(413, 422, 503, 507))
def create_uploads(wanted: UploadRequest, desk: AtDesk) -> Response:
    """Return the key of each of up to 1,000 files, and a form to upload it.

    A key is made from the content's SHA-256. A file that is stored already has `exists: true` and
    no form, so a second run sends nothing; it stays for at least a day, unless somebody erases it.
    A form is valid for an hour, for exactly this key, size and type.
    """
    _refuse_large_files(wanted.files, desk.services.settings.max_image_bytes)
    require_storage_space(desk, sum(file.size for file in wanted.files))
    keys = [image_key(desk.tenant_id, file.sha256, file.suffix) for file in wanted.files]
    there = _find_kept(desk, list(dict.fromkeys(keys)))
    uploads = [
        Upload(key=key, exists=key in there, post=None if key in there else _sign(desk, key, file))
        for key, file in zip(keys, wanted.files, strict=True)
    ]
    # FastAPI would check the thousand answers once more, and write them by slower code.
    answer = UploadList.model_construct(uploads=uploads)
    return Response(answer.model_dump_json(), media_type="application/json")


def require_storage_space(desk: Desk, size: int) -> None:
    """Raise DiskFull before the last bytes of the disk of our own object storage are taken."""
    full = find_full_storage(desk.services.settings.data_dir, size)
    if full is not None:
        raise full


def _find_kept(desk: Desk, keys: list[str]) -> set[str]:
    """Return those of these keys whose photos are there, and stay for a job that names them."""
    settings, tenant_id = desk.services.settings, desk.tenant_id
    bucket, days = settings.s3_bucket, settings.retention_days
    with desk.transaction() as session:
        spare_photos(session, keys, tenant_id=tenant_id, bucket=bucket)
        stored = find_stored(session, keys, bucket=bucket, retention_days=days)
    found = _look_up(desk, [key for key in keys if key not in stored])
    if not found:
        return stored
    with desk.transaction() as session:
        promised = promise(
            session, sorted(found), tenant_id=tenant_id, bucket=bucket, retention_days=days
        )
    if promised:
        # A deletion that had not seen the promise holds a tombstone, and is waited for here.
        with desk.transaction() as session:
            spare_photos(session, sorted(promised), tenant_id=tenant_id, bucket=bucket)
        found -= promised - _look_up(desk, sorted(promised))
    return stored | found


def _look_up(desk: Desk, keys: list[str]) -> set[str]:
    """Return those of these keys that object storage has."""
    answers = desk.services.lookups.map(desk.services.storage.exists, keys)
    return {key for key, exists in zip(keys, answers, strict=True) if exists}


def _sign(desk: Desk, key: str, file: FileToUpload) -> UploadForm:
    post = desk.services.presigner.presign_post(
        key,
        size=file.size,
        content_type=file.content_type,
        sha256=file.sha256,
        # The presigner's address may be one that only clients reach.
        is_lenient=desk.services.storage.is_lenient,
    )
    return UploadForm(url=post["url"], fields=post["fields"])


def _refuse_large_files(files: list[FileToUpload], max_bytes: int) -> None:
    faults = [
        {
            "loc": ["body", "files", index, "size"],
            "message": f"at most {max_bytes} bytes are accepted (FACETAG_MAX_IMAGE_BYTES)",
        }
        for index, file in enumerate(files)
        if file.size > max_bytes
    ]
    if faults:
        raise RequestInvalid(count_faults(len(faults)), faults)
