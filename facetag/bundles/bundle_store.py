"""Keep a tenant's bundles: their rows in Postgres and their files in object storage."""

import tempfile
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from facetag.bundles.bundle_folder import DEFAULT_FOLDER, read_manifest
from facetag.bundles.object_store import fetch_bundle, fetched_root, store_bundle
from facetag.bundles.registry import (
    Champion,
    add_bundle,
    find_bundle,
    find_champion,
    list_models,
    promote,
    register_model,
    roll_back,
)
from facetag.db.engine import make_engine, make_sessions, transaction
from facetag.db.tables import Model, Promotion
from facetag.errors import BundleStateConflict
from facetag.settings import Settings
from facetag.storage.client import Storage, make_storage


class Shelf:
    """Find, store and promote the bundles of one tenant."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tenant_id = settings.tenant_id
        self.engine = make_engine(settings, pool_size=2)
        self.sessions: sessionmaker[Session] = make_sessions(self.engine)
        self.storage: Storage = make_storage(settings)

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def rows(self) -> list[Model]:
        """Return all bundles, the newest first."""
        with transaction(self.sessions) as session:
            return list_models(session, tenant_id=self.tenant_id)

    def find(self, version: str) -> Model:
        """Return a bundle by its version or the end of its version; raises BundleUnknown."""
        with transaction(self.sessions) as session:
            return find_bundle(session, version, tenant_id=self.tenant_id)

    def champion(self) -> Champion | None:
        """Return the champion; None if no bundle is registered yet."""
        with transaction(self.sessions) as session:
            return find_champion(session, tenant_id=self.tenant_id)

    def store(self, folder: Path) -> str:
        """Store the files of a bundle's folder, register the bundle and return its version.

        Raises BundleInvalid if the folder holds no complete bundle.
        """
        files = store_bundle(self.storage, self.tenant_id, folder)
        with transaction(self.sessions) as session:
            manifest = read_manifest(folder)
            return add_bundle(session, manifest, files, tenant_id=self.tenant_id).version

    def promote(self, version: str, *, force: bool) -> Promotion:
        """Make a bundle the champion; if it is this machine's own bundle, store it first.

        Raises BundleInvalid if the stored files were damaged or tampered with. Workers would refuse
        them and go on with the old champion under the new one's name.
        """
        row = self.find(version)
        local = self.local_folder()
        if row.files is None and read_manifest(local)["version"] == row.version:
            self.store(local)
        elif row.files is not None:
            with tempfile.TemporaryDirectory() as elsewhere:
                root = Path(elsewhere)
                fetch_bundle(self.storage, self.tenant_id, row.version, row.files, root)
        with transaction(self.sessions) as session:
            return promote(session, row.version, tenant_id=self.tenant_id, force=force)

    def roll_back(self) -> Promotion:
        """Make the previous champion the champion again."""
        with transaction(self.sessions) as session:
            return roll_back(session, tenant_id=self.tenant_id)

    def ensure_champion(self) -> Champion:
        """Return the champion with its files in object storage.

        If there is no champion, the bundle of FACETAG_BUNDLE, or the one that ships, becomes it.
        Raises BundleStateConflict if the champion's files are neither stored nor on this machine.
        """
        local = self.local_folder()
        manifest = read_manifest(local)
        champion = self.champion()
        if champion is None:
            files = store_bundle(self.storage, self.tenant_id, local)
            with transaction(self.sessions) as session:
                register_model(session, self.tenant_id, manifest)
                add_bundle(session, manifest, files, tenant_id=self.tenant_id)
        elif champion.files is None and champion.version == manifest["version"]:
            self.store(local)
        champion = self.champion()
        if champion is None or champion.files is None:
            version = "the champion" if champion is None else champion.version
            raise BundleStateConflict(
                f"The files of {version} are not in object storage: set FACETAG_BUNDLE to its "
                "folder, or give the folder of another bundle to `facetag models promote`."
            )
        return champion

    def fetch(self, champion: Champion) -> Path:
        """Return a folder with the champion's files, checked; raises BundleInvalid."""
        root = fetched_root(self.settings)
        files = champion.files or {}
        return fetch_bundle(self.storage, self.tenant_id, champion.version, files, root)

    def local_folder(self) -> Path:
        """Return the folder of FACETAG_BUNDLE, or of the bundle that ships."""
        return self.settings.bundle or DEFAULT_FOLDER
