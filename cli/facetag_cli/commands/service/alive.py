"""Say whether a worker or a sweeper of this machine is at work (`facetag alive`)."""

import click

EXIT_SILENT = 1


@click.command()
@click.argument("program", type=click.Choice(("worker", "sweeper")))
@click.pass_context
def alive(ctx: click.Context, program: str) -> None:
    """Say whether a worker or sweeper on this machine or container is at work.

    A worker is at work if it spoke to the database within the last two minutes, a sweeper if it
    ended a round: both do so every few seconds. The exit status is 0 if it is, and 1 otherwise,
    for health checks of containers.

    \b
    Example:
      facetag alive worker
    """
    from facetag.db.engine import (
        WORKER_APPLICATION,
        make_engine,
        make_sessions,
        transaction,
    )
    from facetag.db.presence import QUIET_S, seconds_since_heard, seconds_since_round
    from facetag.settings import load_settings

    sessions = make_sessions(make_engine(load_settings(), pool_size=1))
    with transaction(sessions) as session:
        if program == "worker":
            quiet_s = seconds_since_heard(session, WORKER_APPLICATION, here=True)
        else:
            quiet_s = seconds_since_round(session, here=True)
    if quiet_s is None:
        click.echo(f"No {program} of this machine is known to the database.", err=True)
        ctx.exit(EXIT_SILENT)
    did = "spoke to the database" if program == "worker" else "ended a round"
    click.echo(f"The {program} {did} {quiet_s:.0f} s ago.", err=True)
    if quiet_s > QUIET_S:
        ctx.exit(EXIT_SILENT)
