"""Give child processes an environment in which nothing that lies about in a shell has a say.

Client libraries read hundreds of variables, such as CELERY_BROKER_URL, PGSERVICE or PYTHONPATH. A
list of what to keep stays short; a list of what to drop would never be complete.
"""

import os
import site
import sys
from pathlib import Path

from facetag.loopback import is_loopback
from facetag.settings import Settings

_PLACE = {"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LANGUAGE"}
_PLACE_PREFIXES = ("LC_", "XDG_")

_MACHINE = {"LD_LIBRARY_PATH"}
_MACHINE_PREFIXES = (
    "CUDA_",
    "NVIDIA_",
    "TF_CPP_",
    "TF_FORCE_GPU_",
    "TF_GPU_",
    "TF_NUM_",
    "XLA_",
    "JAX_",
)
"""Variables that choose processors and their drivers. TensorFlow ends a process at a flag for XLA
that it does not know, and at a folder of plug-ins that is not there."""

_REMOTE = {
    *(f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "ALL", "NO")),
    *(f"{kind}_proxy" for kind in ("http", "https", "all", "no")),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
}
_REMOTE_PREFIXES = ("AWS_",)
"""Variables that lead to object storage outside this machine."""

_DATABASE_PREFIX = "PG"


def server_environment(**additions: str) -> dict[str, str]:
    """Return the environment of a server that facetag starts: places, language and `additions`."""
    return _keep(_PLACE, _PLACE_PREFIXES) | additions


def python_environment(settings: Settings | None = None, **additions: str) -> dict[str, str]:
    """Return the environment of a process of facetag that facetag starts.

    In addition to that of a server it has the FACETAG_ variables and those that choose processors.
    Proxies, certificates and AWS_ variables are handed on only if the settings name object storage
    outside this machine, and PG variables only if they name a database; without settings, neither.
    """
    kept = _keep(_PLACE | _MACHINE, (*_PLACE_PREFIXES, *_MACHINE_PREFIXES, "FACETAG_"))
    if settings and settings.s3_endpoint_url and not is_loopback(settings.s3_endpoint_url):
        kept |= _keep(_REMOTE, _REMOTE_PREFIXES)
    if settings and settings.database_url:
        kept |= _keep(set(), (_DATABASE_PREFIX,))
    return kept | _search_path() | additions


def inherit(*names: str) -> dict[str, str]:
    """Return these variables of the present environment, as far as they are set."""
    return _keep(set(names), ())


def python_command() -> list[str]:
    """Return the beginning of a command that runs a module of facetag, up to `-m`.

    A file in the current folder that is named as one of our modules is not ours (-P). Neither is a
    package of the user's own, unless facetag itself is one (-s).
    """
    user_site = site.getusersitepackages()
    own = [] if _home().is_relative_to(user_site) else ["-s"]
    return [sys.executable, "-P", *own, "-m"]


def own_search_path() -> list[str]:
    """Return where modules of facetag are found by the processes that facetag starts.

    Those are the folders of this process, less those of a PYTHONPATH that is not handed on.
    """
    foreign = [] if _search_path() else os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [folder for folder in sys.path if folder not in foreign]


def forget_database_variables(settings: Settings) -> None:
    """Remove the PG variables from this process if it runs its own PostgreSQL.

    libpq reads each of them for every connection, and no argument can take PGSERVICE back.
    """
    if not settings.database_url:
        for name in [name for name in os.environ if name.startswith(_DATABASE_PREFIX)]:
            del os.environ[name]


def _keep(names: set[str], prefixes: tuple[str, ...]) -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in names or name.startswith(prefixes)
    }


def _search_path() -> dict[str, str]:
    """Return PYTHONPATH only if facetag was found through it, as on clusters with modules."""
    given = os.environ.get("PYTHONPATH", "")
    folders = [Path(part).absolute() for part in given.split(os.pathsep) if part]
    return {"PYTHONPATH": given} if _home() in folders else {}


def _home() -> Path:
    """Return the folder that facetag is imported from."""
    return Path(__file__).parents[3]
