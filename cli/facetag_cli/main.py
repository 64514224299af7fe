"""Start the `facetag` command: find a subcommand by its name and import only that one."""

import errno
import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click

from facetag.errors import FacetagError
from facetag.extras import STANDARD, missing_package
from facetag_cli.params.number_words import with_number_words
from facetag_cli.quiet_import import QuietImport

ASKED_FOR = "facetag.command"
"""Key of the subcommand's name in the context, also while its module is imported."""
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells report a command that was stopped with Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A subcommand that is not imported yet; `commands/<folder>/<name>.py` defines `<name>`."""

    name: str
    help: str
    extra: str | None = None
    """The extra with its optional dependencies, which the message about a missing package names."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A section of the help, and the folder below `commands/` that holds its subcommands."""

    title: str
    folder: str
    entries: tuple[Entry, ...]


CHAPTERS = (
    Chapter(
        "Tag photos",
        "photos",
        (
            Entry("tag", "Label the faces in every photo of a folder.", STANDARD),
            Entry("watch", "Label the photos that arrive in a folder.", STANDARD),
            Entry("predict", "Label the faces in one photo.", STANDARD),
        ),
    ),
    Chapter(
        "Work with jobs of a service",
        "jobs",
        (
            Entry("upload", "Send a folder's photos to the service and start a job."),
            Entry("jobs", "List jobs, the newest first."),
            Entry("status", "Show a job's progress."),
            Entry("results", "Print a job's results."),
            Entry("report", "Write a job's report on who is in the collection."),
            Entry("export", "Write a job's results for other tools."),
            Entry("review", "Use what people said of a job's faces.", "cpu"),
            Entry("compose", "Estimate who is in a collection.", "cpu"),
            Entry("compare", "Compare who is in two collections.", "cpu"),
            Entry("retry", "Try a job's failed photos again."),
            Entry("cancel", "Stop a job and keep its finished results."),
            Entry("resume", "Go on with a cancelled job."),
            Entry("retag", "Label a job's photos again and show what changed."),
        ),
    ),
    Chapter(
        "Run the service",
        "service",
        (
            Entry("up", "Run the whole service on this machine.", STANDARD),
            Entry("down", "End the service that runs on this machine.", "local"),
            Entry("api", "Run the HTTP API.", "api"),
            Entry("worker", "Run a worker.", "cpu"),
            Entry("warm", "Prepare the network ahead of workers.", "cpu"),
            Entry("sweep", "Requeue the work of workers that died."),
            Entry("alive", "Say whether a worker or sweeper is at work here."),
            Entry("migrate", "Update the database's tables."),
            Entry("doctor", "Print what a bug report needs, and what is wrong.", STANDARD),
            Entry("purge", "Delete jobs or photos for good."),
            Entry("audit-log", "Show who did what to the service's data."),
            Entry("keys", "Make, list and revoke keys of the service.", "local"),
        ),
    ),
    Chapter(
        "Train networks",
        "training",
        (
            Entry("shard", "Split a folder of labelled images into shards.", "standard,train"),
            Entry("explore", "Show the composition of training shards.", "standard,train"),
            Entry("audit", "Find labels that are likely wrong.", "standard,train"),
            Entry("teach", "Ask public networks about training shards.", "standard,train,teachers"),
            Entry("train", "Fit a network on training shards.", "standard,train"),
            Entry("imbalance", "Compare remedies for rare labels.", "standard,train"),
            Entry("tune", "Search for better training settings.", "standard,train"),
            Entry("calibrate", "Calibrate a network's probabilities.", "standard,train"),
            Entry("evaluate", "Measure a network on labelled shards.", "standard,train"),
        ),
    ),
    Chapter(
        "Change the network that labels",
        "models",
        (
            Entry("retrain", "Fit the network further on new shards.", "standard,train"),
            Entry("models", "List, promote and roll back bundles.", "local"),
            Entry("retrainings", "List, follow and cancel queued retrainings.", "local"),
        ),
    ),
)
ENTRIES = {entry.name: entry for chapter in CHAPTERS for entry in chapter.entries}
WAYS_OUT = {
    " does not exist.": "Check the path.",
    " is a directory.": "Give a file.",
    " is a file.": "Give a folder.",
    " is not readable.": "Give yourself the right to read it.",
    " is not writable.": "Give yourself the right to write it.",
}
"""What to do about the ends of click's messages on paths."""
PATH_FAULTS = {
    errno.EACCES: "Give yourself the right to it, or give another path.",
    errno.EPERM: "Give yourself the right to it, or give another path.",
    errno.EROFS: "Give another path.",
    errno.ENAMETOOLONG: "Check the path.",
}
"""What to do about a path that the system refuses."""
FOLDERS = {entry.name: chapter.folder for chapter in CHAPTERS for entry in chapter.entries}


class WrongArgument(click.UsageError):
    """A wrong argument, which is said in one line with the way to the right ones."""

    def __init__(self, error: click.UsageError) -> None:
        super().__init__(with_number_words(error).format_message(), error.ctx)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line, without the usage that click puts before it."""
        command = self.ctx.command_path if self.ctx else "facetag"
        said = self.message if self.message.endswith((".", "?", ")")) else f"{self.message}."
        said += next((f" {way}" for end, way in WAYS_OUT.items() if said.endswith(end)), "")
        click.echo(f"Error: {said} See `{command} --help`.", file=file or sys.stderr)


class LazyGroup(click.Group):
    """A group whose help comes from a table, so that `--help` imports no subcommand."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the subcommands' names in the order of CHAPTERS."""
        return list(ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand; return None for a name that is not in CHAPTERS."""
        entry = ENTRIES.get(cmd_name)
        ctx.meta[ASKED_FOR] = cmd_name
        return None if entry is None else load_command(entry)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand; raise UsageError, with the nearest name, if there is none."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], ENTRIES, n=1)
            if not near or args[0] in ENTRIES:
                raise
            raise click.UsageError(f"{error.message} Did you mean `{near[0]}`?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the subcommands by chapter without importing any."""
        for chapter in CHAPTERS:
            with formatter.section(chapter.title):
                formatter.write_dl([(entry.name, entry.help) for entry in chapter.entries])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand, and print errors as one line."""
        debug = bool(ctx.params.get("debug"))
        try:
            return super().invoke(ctx)
        except FacetagError as error:
            if debug:
                raise
            from facetag.results.name_escapes import escape_controls

            # An error may quote a file's name, or what a service answered.
            raise click.ClickException(escape_controls(str(error))) from error
        except OSError as error:
            said = describe_fault(error)
            if debug or said is None:
                raise
            raise click.ClickException(said) from error
        except ModuleNotFoundError as error:
            if debug:
                raise
            entry = ENTRIES.get(ctx.meta.get(ASKED_FOR, ""))
            told = missing_package(error.name or "", command_extra=entry.extra if entry else None)
            raise click.ClickException(f"{told} --debug shows the details.") from error
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise WrongArgument(error) from error
        except KeyboardInterrupt:
            ctx.exit(EXIT_INTERRUPTED)

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        """Parse the options before the subcommand; raises WrongArgument."""
        try:
            return super().make_context(*arguments, **more)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise WrongArgument(error) from error


def load_command(entry: Entry) -> click.Command:
    """Import the command of an entry; raise UsageError if this installation lacks it."""
    file_name = entry.name.replace("-", "_")
    module_name = f"facetag_cli.commands.{FOLDERS[entry.name]}.{file_name}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise click.UsageError(
            f"This installation does not have the command `{entry.name}`."
        ) from error
    command: click.Command = getattr(module, file_name)
    return command


def describe_fault(error: OSError) -> str | None:
    """Return a message about a full disk, or a path that cannot be used, where no other said so."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = f"of {error.filename}" if error.filename else "that is written to"
        return f"The disk {place} is full. Make space, and give the same command again."
    if error.filename is None or error.errno not in PATH_FAULTS:
        return None
    from facetag.results.name_escapes import escape_controls

    place = escape_controls(os.fsdecode(error.filename))
    return f"{place} cannot be used: {error.strerror}. {PATH_FAULTS[error.errno]}"


def require_working_directory() -> None:
    """Raise ClickException where this process's working directory was removed.

    Relative paths, and the processes that a command starts, begin there.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise click.ClickException(
            "The working directory no longer exists: change to one that does, and give the same "
            "command again."
        ) from error


def fill_standard_streams() -> None:
    """Open /dev/null as standard input, output or error, if this process was started without it.

    The next file, such as a server's log, would otherwise take that place, and a child would read
    or write the file of another.
    """
    for number, (name, mode) in enumerate([("stdin", "r"), ("stdout", "w"), ("stderr", "w")]):
        try:
            os.fstat(number)
        except OSError:
            # The system gives the lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="For help on a command: facetag COMMAND --help",
)
@click.option("--debug", is_flag=True, help="Show tracebacks instead of one-line errors.")
@click.version_option(package_name="facetag")
@click.pass_context
def main(ctx: click.Context, debug: bool) -> None:
    """Label the faces in photo collections by apparent age, gender and race.

    \b
    Example:
      facetag tag ~/Pictures --report collection.html
    """
    fill_standard_streams()
    require_working_directory()
    if not debug:
        # TensorFlow's notes on instruction sets would bury the commands' own output.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        trains = FOLDERS.get(ctx.invoked_subcommand or "") in ("training", "models")
        if trains and "tensorflow" not in sys.modules:
            sys.meta_path.insert(0, QuietImport("tensorflow"))


if __name__ == "__main__":
    main()
