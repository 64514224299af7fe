"""Print what a bug report needs, and what is wrong here (`facetag doctor`)."""

from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option

EXIT_WRONG = 1


@click.command()
@data_dir_option
@click.pass_context
def doctor(ctx: click.Context, data_dir: Path | None) -> None:
    """Print what a bug report needs, and what is wrong here.

    The text names versions, the processor, the engine that computes, servers and ports, disks, and
    the settings in force. Passwords, keys and the name of the home folder are left out, so that it
    can be pasted as it is. Nothing is started or changed. The exit status is 0 if nothing is wrong,
    and 1 otherwise.

    \b
    Example:
      facetag doctor
    """
    import os

    from facetag_cli.diagnosis.diagnosis_report import examine, render, secrets_of
    from facetag_cli.diagnosis.machine import (
        look_at_disks,
        look_at_engine,
        look_at_processor,
        look_at_versions,
    )
    from facetag_cli.diagnosis.servers import look_at_servers, look_at_service
    from facetag_cli.diagnosis.settings_in_force import (
        look_at_settings,
        look_at_shell,
        read_leniently,
    )

    settings, faults = read_leniently()
    if data_dir is not None:
        settings = settings.model_copy(update={"data_dir": data_dir.expanduser().absolute()})
    sections = [
        examine("Versions", look_at_versions),
        examine("Processor", look_at_processor),
        examine("Computing", lambda: look_at_engine(settings)),
        examine("Disks", lambda: look_at_disks(settings)),
        examine("Settings", lambda: look_at_settings(settings, faults, os.environ)),
        examine("Variables", lambda: look_at_shell(os.environ)),
        examine("Servers", lambda: look_at_servers(settings)),
        examine("Service", lambda: look_at_service(settings)),
    ]
    click.echo(render(sections, secrets_of(os.environ)), nl=False)
    wrong = any(finding.fault for section in sections for finding in section.findings)
    ctx.exit(EXIT_WRONG if wrong else 0)
