"""Watch for a new champion: load it beside the old one, warm it up, and switch to it."""

import threading
from collections.abc import Callable
from pathlib import Path

import structlog
from sqlalchemy.orm import Session, sessionmaker
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    wait_fixed,
)

from facetag.bundles.bundle_folder import DEFAULT_FOLDER, read_manifest
from facetag.bundles.labelling_key import labelling_key
from facetag.bundles.object_store import fetch_bundle, fetched_root
from facetag.bundles.registry import Champion, find_champion
from facetag.db.engine import transaction
from facetag.errors import BundleInvalid, ServiceUnavailable
from facetag.labelling.photo_labels import KeyedLabeller, LoadLabeller, PhotoLabeller
from facetag.settings import Settings
from facetag.storage.client import Storage

RETRY_S = 60.0
"""How long to wait before a champion that could not be loaded is tried again."""

log = structlog.get_logger(__name__)


class ChampionWatcher:
    """Hold the champion's labeller; a thread loads each bundle that is promoted."""

    def __init__(
        self,
        settings: Settings,
        load_labeller: LoadLabeller,
        storage: Storage,
        stopping: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._load_labeller = load_labeller
        self._storage = storage
        self._stopping = stopping
        self._current: KeyedLabeller
        self._number = 0
        self._ended = threading.Event()

    def current(self) -> KeyedLabeller:
        """Return the labeller for the next chunk: it is warm, even while another one is loaded."""
        return self._current

    def load_first(self, champion: Champion | None) -> PhotoLabeller:
        """Load the promoted champion, or the bundle of the settings if none was ever promoted.

        Waits while object storage does not answer, unless the worker is stopping. Raises
        BundleInvalid, and what the loading raises.
        """
        folder = self._settings.bundle
        if champion is not None and champion.number:
            folder = self._fetch_patiently(champion)
            self._number = champion.number
        self._current = self._load(folder)
        return self._current.labeller

    def follow(self, sessions: sessionmaker[Session]) -> None:
        """Start the thread that checks for a new champion until `close`."""
        thread = threading.Thread(
            target=self._watch, args=(sessions,), name="champion", daemon=True
        )
        thread.start()

    def close(self) -> None:
        """Stop checking."""
        self._ended.set()

    def look(self, sessions: sessionmaker[Session]) -> None:
        """Load the bundle that was promoted since; if that fails, the old champion stays.

        Raises BundleInvalid, ServiceUnavailable and what the loading raises.
        """
        with transaction(sessions) as session:
            champion = find_champion(session, tenant_id=self._settings.tenant_id)
        if champion is None or champion.number <= self._number:
            return
        before = self._current.labeller.version
        if champion.version != before:
            self._current = self._load(self._folder_of(champion))
            log.info("champion_switched", before=before, bundle=champion.version)
        self._number = champion.number

    def _watch(self, sessions: sessionmaker[Session]) -> None:
        pause_s = self._settings.champion_poll_s
        while not self._ended.wait(pause_s):
            pause_s = self._settings.champion_poll_s
            try:
                self.look(sessions)
            except ServiceUnavailable as error:
                log.warning("champion_unknown", reason=str(error))
            except BundleInvalid as error:
                log.error(
                    "champion_refused", reason=str(error), kept=self._current.labeller.version
                )
                pause_s = RETRY_S
            except Exception:
                # Whatever goes wrong while a new bundle loads, the old one goes on labelling.
                log.exception("champion_not_loaded", kept=self._current.labeller.version)
                pause_s = RETRY_S

    def _load(self, folder: Path | None) -> KeyedLabeller:
        labeller = self._load_labeller(self._settings.model_copy(update={"bundle": folder}))
        labeller.warm_up()
        return KeyedLabeller(labeller, labelling_key(labeller.manifest, self._settings))

    def _folder_of(self, champion: Champion) -> Path:
        if champion.files is not None:
            root = fetched_root(self._settings)
            tenant_id = self._settings.tenant_id
            return fetch_bundle(self._storage, tenant_id, champion.version, champion.files, root)
        local = self._settings.bundle or DEFAULT_FOLDER
        if read_manifest(local)["version"] != champion.version:
            raise BundleInvalid(
                f"The champion {champion.version} is neither in object storage nor in {local}: "
                "promote another version."
            )
        return local

    def _fetch_patiently(self, champion: Champion) -> Path:
        def tell(state: RetryCallState) -> None:
            reason = state.outcome.exception() if state.outcome else None
            log.warning("champion_not_fetched", reason=str(reason))

        retrying = Retrying(
            retry=retry_if_exception_type(ServiceUnavailable),
            wait=wait_fixed(self._settings.champion_poll_s),
            stop=lambda _: self._stopping(),
            sleep=sleep_using_event(self._ended),
            before_sleep=tell,
            reraise=True,
        )
        return retrying(self._folder_of, champion)
