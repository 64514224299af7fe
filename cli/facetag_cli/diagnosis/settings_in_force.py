"""Look at the settings: which are in force, where they come from, and what is wrong with them."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr, ValidationError

from facetag.settings import Settings, setting_name
from facetag_cli.diagnosis.diagnosis_report import MASK, Finding, mask_url

PREFIX = "FACETAG_"
_FOR_TESTS = "FACETAG_TEST_"
FOREIGN_PREFIXES = ("AWS_", "CELERY_", "PG", "PYTHON", "LD_", "KERAS_", "DJANGO_", "OMP_")
FOREIGN_NAMES = {
    *(f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "ALL", "NO")),
    *(f"{kind}_proxy" for kind in ("http", "https", "all", "no")),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
}


def read_leniently() -> tuple[Settings, dict[str, str]]:
    """Return the settings, with defaults in place of wrong ones, and the faults by variable."""
    try:
        return Settings(), {}
    except ValidationError as error:
        faults = {
            str(fault["loc"][0]): fault["msg"].removeprefix("Value error, ")
            for fault in error.errors(include_input=False, include_url=False)
        }
    defaults: dict[str, Any] = {
        name: Settings.model_fields[name].get_default(call_default_factory=True) for name in faults
    }
    return Settings(**defaults), {setting_name(name): said for name, said in faults.items()}


def look_at_settings(
    settings: Settings, faults: Mapping[str, str], environment: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield each setting that is set, masked, and what is wrong with it."""
    known = {setting_name(name): name for name in Settings.model_fields}
    given = sorted(name for name in environment if name.startswith(PREFIX))
    for name in given:
        if name.startswith(_FOR_TESTS):
            continue
        if name not in known:
            yield Finding(name, "is no setting", _suggest(name, known))
        elif name in faults:
            yield Finding(name, "is wrong, so the default counts here", faults[name])
        else:
            text = _shown(getattr(settings, known[name]))
            yield Finding(name, text, _contradiction(settings, known[name]))
    if not given:
        yield Finding("settings", "none is set: the defaults count")


def look_at_shell(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the variables of other programs by name; they do not matter to local servers."""
    names = sorted(
        name for name in environment if name in FOREIGN_NAMES or name.startswith(FOREIGN_PREFIXES)
    )
    yield Finding("of other programs", ", ".join(names) or "none")


def _suggest(name: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return f"write {near[0]}." if near else "unset it: docs/settings.md lists all settings."


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return mask_url(secret) if "://" in secret else MASK
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return mask_url(str(value))


def _contradiction(settings: Settings, field: str) -> str | None:
    """Return what is wrong with a setting that is right by itself."""
    keys = bool(settings.s3_access_key), bool(settings.s3_secret_key)
    if field in ("s3_access_key", "s3_secret_key") and keys[0] != keys[1]:
        return "set both FACETAG_S3_ACCESS_KEY and FACETAG_S3_SECRET_KEY, or neither."
    if field == "s3_endpoint_url" and not any(keys):
        return "object storage needs FACETAG_S3_ACCESS_KEY and FACETAG_S3_SECRET_KEY as well."
    if field == "image_formats":
        return _unknown_formats(settings.image_formats)
    return None


def _unknown_formats(formats: tuple[str, ...]) -> str | None:
    from facetag.vision.formats.format_names import decodable_formats

    known = decodable_formats()
    unknown = [name for name in formats if name not in known]
    if not unknown:
        return None
    return f"{', '.join(unknown)} cannot be decoded here: give some of {', '.join(sorted(known))}."
