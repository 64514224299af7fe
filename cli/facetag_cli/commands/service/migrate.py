"""Update the database's tables and create the buckets (`facetag migrate`)."""

import click


@click.command()
def migrate() -> None:
    """Update the database's tables and create the buckets of photos and of bundles.

    Run this before the services start, and after every upgrade. A second run changes nothing, and
    several can run at the same time.
    """
    from facetag.db.engine import migrate as migrate_database
    from facetag.log import configure_logging
    from facetag.settings import load_settings
    from facetag.storage.client import make_storage

    configure_logging()
    settings = load_settings()
    migrate_database(settings.require("database_url"))
    click.echo("The tables are up to date.")
    storage = make_storage(settings)
    storage.ensure_bucket()
    click.echo(f"The bucket {storage.bucket} is ready.")
