"""Run a session of `facetag tune`: open the study, run its trials and print its results."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from facetag.settings import Settings
from facetag.standalone.connections import use_database
from facetag_cli.reporter import Bar, Reporter
from facetag_trainer.data.cache_preparation import PreparePlan, prepare_cache
from facetag_trainer.data.crop_cache import CropCache
from facetag_trainer.evaluation.table_1_metrics import flatten
from facetag_trainer.fit.loop import FitProgress
from facetag_trainer.progress import show_step
from facetag_trainer.tuning.objective import Objective
from facetag_trainer.tuning.search_space import default_values
from facetag_trainer.tuning.studies import (
    StudyStorage,
    load_study,
    open_storage,
    open_study,
    studies_url,
)
from facetag_trainer.tuning.study_report import (
    PLAN_FILE,
    compose_command,
    compose_plan,
    describe_budget,
    parameter_rows,
    write_tuning_report,
)
from facetag_trainer.tuning.study_results import Results, format_value, read_results
from facetag_trainer.tuning.trial_runner import run_trials
from facetag_trainer.tuning.trial_watcher import TrialWatcher
from facetag_trainer.tuning.tuning_plan import TuningPlan, name_study

TOP = 5
SHOWN = ("age_rmse", "gender_accuracy", "race_accuracy")


@dataclass(frozen=True, slots=True)
class TuningSession:
    """One call of the command; without a `study` its name follows from the plan and the shards."""

    settings: Settings
    storage: str | None
    plan: TuningPlan
    shards: Sequence[Path]
    study: str | None
    report: Path | None
    reporter: Reporter

    def read(self) -> None:
        """Print the results of the study; raises FacetagError if there is none."""
        name = self.study or name_study(self.plan.to_json(self.shards))
        with self._storage() as storage:
            self._conclude(read_results(load_study(storage, name)))

    def run(self, trials: int, timeout_s: float | None, *, cache: Path, folder: Path) -> None:
        """Run trials until the study has so many, and print its results."""
        stated = self.plan.to_json(self.shards)
        name = self.study or name_study(stated)
        with self._storage() as storage:
            crops = self._cut_faces(cache)
            first = default_values(self.plan.space)
            study = open_study(storage, name, stated, first=first)
            self.reporter.say(f"Study {name}: {describe_budget(stated)}")
            try:
                with _TrialReport(self.reporter, self.plan.epochs) as watcher:
                    objective = Objective(self.plan, crops, folder / name, watcher)
                    run_trials(
                        study, storage, objective, trials, timeout_s=timeout_s, watcher=watcher
                    )
            except KeyboardInterrupt:
                self.reporter.warn(
                    "Stopped; the running trial is queued. The same command resumes the study."
                )
                self._conclude(read_results(study))
                raise
            self._conclude(read_results(study))

    @contextmanager
    def _storage(self) -> Iterator[StudyStorage]:
        if self.storage is not None:
            yield open_storage(self.storage)
            return
        with use_database(self.settings, on_event=self.reporter.say) as url:
            yield open_storage(studies_url(url))

    def _cut_faces(self, cache: Path) -> CropCache:
        with self.reporter.bar("Cutting faces out", total=None, unit="images") as bar:
            return prepare_cache(
                self.shards,
                cache,
                PreparePlan(self.settings, size=self.plan.size),
                on_progress=lambda done, total: bar.set(done, total=total),
            )

    def _conclude(self, results: Results) -> None:
        _print_results(results)
        plan = None if self.report is None else self.report / PLAN_FILE
        _print_use(results, plan)
        if self.report is not None:
            self.reporter.say(f"{write_tuning_report(self.report, results)}")


class _TrialReport:
    """Report trials as a context: a bar per trial, and a line per epoch."""

    def __init__(self, reporter: Reporter, epochs: int) -> None:
        self._reporter = reporter
        self._epochs = epochs
        self._open = ExitStack()
        self._bar: Bar | None = None

    def __enter__(self) -> TrialWatcher:
        return TrialWatcher(self._begin, self._step, self._epoch, self._end, self._wait)

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _begin(self, number: int, values: Mapping[str, Any]) -> None:
        stated = ", ".join(f"{name} {format_value(one)}" for name, one in values.items())
        self._reporter.say(f"Trial {number}: {stated}")
        self._bar = self._open.enter_context(
            self._reporter.bar(f"Trial {number}", total=None, unit="images")
        )

    def _step(self, number: int, progress: FitProgress) -> None:  # noqa: ARG002
        if self._bar is None:
            return
        show_step(self._bar, progress, self._epochs)

    def _epoch(self, number: int, row: Mapping[str, Any]) -> None:
        measures = {name: value for name, value in flatten(row).items() if name in SHOWN}
        stated = ", ".join(f"{name} {value:.3f}" for name, value in measures.items())
        epoch = f"epoch {row['epoch'] + 1}/{self._epochs}"
        self._reporter.say(f"Trial {number}, {epoch}: score {row['score']:.4f}, {stated}")

    def _end(self, number: int, words: str) -> None:
        self._open.close()
        self._reporter.say(f"Trial {number} {words}")

    def _wait(self, running: int) -> None:
        self._reporter.say(
            f"Waiting for {running} trials of other machines, which may have died. Ctrl-C ends it."
        )


def _print_results(results: Results) -> None:
    """Print the best values and the best trials on standard output."""
    console = Console(highlight=False)
    console.print(f"Study {results.name}: {describe_budget(results.plan)}", markup=False)
    counts = ", ".join(
        f"{results.count(state)} {state}"
        for state in ("complete", "pruned", "failed", "running", "waiting")
        if results.count(state)
    )
    console.print(f"Trials: {counts or 'none'}", markup=False)
    if results.best is None:
        return
    console.print(_parameters(results))
    console.print(_best_trials(results))


def _print_use(results: Results, path: Path | None) -> None:
    """Print how to fit with the best values: the plan file, unless it is in `path`, and a command.

    Prints nothing until a trial is complete.
    """
    if results.best is None:
        return
    console = Console(highlight=False)
    if path is None:
        console.print(f"\n# Save as {PLAN_FILE}\n{compose_plan(results)}", markup=False)
    command = compose_command(results, str(path or PLAN_FILE))
    console.print(f"\n{command}", markup=False, soft_wrap=True)


def _parameters(results: Results) -> Table:
    table = Table("parameter", "searched", "default", "best", "importance", "option of train")
    for row in parameter_rows(results):
        table.add_row(*row.values())
    return table


def _best_trials(results: Results) -> Table:
    table = Table("trial", "score", *SHOWN)
    complete = [one for one in results.trials if one.state == "complete"]
    for one in sorted(complete, key=lambda trial: trial.value or 0.0)[:TOP]:
        measures = [f"{one.measures[name]:.3f}" if name in one.measures else "" for name in SHOWN]
        table.add_row(str(one.number), f"{one.value:.4f}", *measures)
    return table
