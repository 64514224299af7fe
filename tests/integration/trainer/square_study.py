"""Run trials in a process of their own.

The command is `python -m tests.integration.trainer.square_study URL TRIALS S`.

A trial takes S seconds, or until a line comes in where S is `wait`. It prints a
line as each begins: the word, the number, the value.
"""

import sys
import time

from facetag_trainer.tuning.studies import open_storage, open_study
from facetag_trainer.tuning.trial_runner import run_trials

STUDY, PLAN, FIRST = "square", {"digest": "ab12"}, {"x": 0.5}


def main():
    url, trials, seconds = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    storage = open_storage(url, heartbeat_s=1, grace_s=3)
    study = open_study(storage, STUDY, PLAN, first=FIRST)

    def square(trial):
        x = trial.suggest_float("x", 0, 1)
        print("begun", trial.number, x, flush=True)
        if seconds == "wait":
            sys.stdin.readline()
        else:
            time.sleep(float(seconds))
        return x**2

    run_trials(study, storage, square, trials, poll_s=0.2)
    print("done", flush=True)


if __name__ == "__main__":
    main()
