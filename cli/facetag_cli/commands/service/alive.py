"""Say whether a worker or a sweeper of this machine is at work (`facetag alive`)."""

import click

EXIT_SILENT = 1


@click.command()
@click.argument("program", type=click.Choice(("worker", "sweeper")))
@click.pass_context
def alive(ctx: click.Context, program: str) -> None:
    """Say whether a worker or sweeper on this machine or container is at work.

    It is at work if it spoke to the database within the last two minutes: both do so every few
    seconds. The exit status is 0 if it is, and 1 otherwise, for health checks of containers.

    \b
    Example:
      facetag alive worker
    """
    from facetag.db.engine import (
        SWEEPER_APPLICATION,
        WORKER_APPLICATION,
        make_engine,
        make_sessions,
        transaction,
    )
    from facetag.db.presence import QUIET_S, seconds_since_heard
    from facetag.settings import load_settings

    names = {"worker": WORKER_APPLICATION, "sweeper": SWEEPER_APPLICATION}
    sessions = make_sessions(make_engine(load_settings(), pool_size=1))
    with transaction(sessions) as session:
        quiet_s = seconds_since_heard(session, names[program], here=True)
    if quiet_s is None:
        click.echo(f"No {program} of this machine is connected to the database.", err=True)
        ctx.exit(EXIT_SILENT)
    click.echo(f"The {program} spoke to the database {quiet_s:.0f} s ago.", err=True)
    if quiet_s > QUIET_S:
        ctx.exit(EXIT_SILENT)
