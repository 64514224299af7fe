"""Run the whole service on this machine until it is stopped (`facetag up`)."""

from pathlib import Path

import click

from facetag_cli.params.number_words import FiniteRange
from facetag_cli.params.options import data_dir_option, min_face_option, quiet_option


@click.command()
@data_dir_option
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port of the API. Default: FACETAG_API_PORT, else 8000, or a free port if that is taken.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Number of processes that label photos; each loads its own network.",
)
@click.option(
    "--trainer",
    is_flag=True,
    help="Also run a trainer worker, which does the retrainings of `facetag retrain --queue`.",
)
@click.option(
    "--linger",
    type=FiniteRange(min=1),
    metavar="SECONDS",
    help="End by itself once nobody has used the service for so long. Default: never.",
)
@min_face_option
@quiet_option
def up(
    data_dir: Path | None,
    port: int | None,
    workers: int,
    trainer: bool,
    linger: float | None,
    min_face: float | None,
    quiet: bool,
) -> None:
    """Run the whole service on this machine until it is stopped.

    The command starts PostgreSQL, Valkey and SeaweedFS, which keep their data in the data folder
    (default ~/.local/share/facetag). It then updates the tables and starts the API, a worker and
    the sweeper. Everything listens on this machine only. A process that ends by itself is started
    again. Ctrl-C or SIGTERM stops everything; the data is kept.

    If FACETAG_DATABASE_URL, FACETAG_REDIS_URL or FACETAG_S3_ENDPOINT_URL is set, that server is
    used and none is started in its place. `facetag tag` and the other commands find the running
    service by themselves.

    \b
    Example:
      facetag up --data-dir /srv/facetag
    """
    from facetag.errors import SettingsInvalid
    from facetag.standalone.announcements import find_announced
    from facetag.standalone.servers.ports import LOOPBACK, is_free
    from facetag_cli.client.lingering_service import replace_unused, settings_digest
    from facetag_cli.client.local_service import LocalService
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.params.interrupts import ignore_sigterm, stop_on_sigterm
    from facetag_cli.reporter import Reporter

    settings = read_settings(data_dir, min_face=min_face)
    reporter = Reporter(quiet=quiet)
    if port is not None and not is_free(port):
        raise SettingsInvalid(f"Another program listens on {LOOPBACK}:{port}. Give another --port.")
    found = find_announced(settings.data_dir) if linger is None else None
    if found is not None and found.lingers_for is not None:
        replace_unused(found, settings.data_dir)
    service = LocalService(
        settings,
        workers=workers,
        trainer=trainer,
        api_port=settings.api_port if port is None else port,
        announce=True,
        lingers_for=None if linger is None else settings_digest(settings),
        on_event=reporter.say,
    )
    with stop_on_sigterm():
        try:
            with service:
                reporter.say(f"\nThe service is up:  {service.api_url}")
                if linger is None:
                    # Nobody reads what one that lingers prints.
                    reporter.say(f"  its page          {service.make_page_link()}")
                    reporter.say(
                        "                    (works once; `facetag keys link` prints another)"
                    )
                reporter.say(f"  data              {service.stack.folders.data_dir}")
                reporter.say(f"  logs              {service.logs_dir}")
                reporter.say("The worker loads its network now; jobs wait for it.")
                reporter.say("Stop with Ctrl-C.\n")
                try:
                    service.wait() if linger is None else service.wait_until_idle(linger)
                finally:
                    ignore_sigterm()
                    reporter.say("Stopping ...")
        except KeyboardInterrupt:
            reporter.say("Stopped; the data is kept.")
