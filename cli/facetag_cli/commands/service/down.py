"""End the service that runs on the data folder (`facetag down`)."""

from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, quiet_option


@click.command()
@data_dir_option
@quiet_option
def down(data_dir: Path | None, quiet: bool) -> None:
    """End the service that runs on this machine, and keep its data.

    `facetag tag` leaves its service running for some minutes (FACETAG_LINGER_S), so that the next
    command is quick; this ends it at once, even while it starts. It also ends a `facetag up`.
    Unfinished jobs go on with the next service.

    \b
    Example:
      facetag down
    """
    from facetag.standalone.announcements import find_announced
    from facetag.standalone.folder_owner import require_own
    from facetag_cli.client.lingering_service import end_service, end_unannounced
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.reporter import Reporter

    settings = read_settings(data_dir)
    reporter = Reporter(quiet=quiet)
    announced = find_announced(settings.data_dir)
    if announced is None:
        require_own(settings.data_dir)
        if not end_unannounced(settings.data_dir):
            reporter.say(f"No service runs on {settings.data_dir}.")
            return
    else:
        end_service(announced)
    reporter.say(f"Ended the service on {settings.data_dir}; its data is kept.")
