"""Name the tasks that workers carry out; the one argument of each is an id as a string."""

TASK_TAG = "facetag.tag"
"""Drain a job."""
TASK_LIST = "facetag.list"
"""List the prefix of a job."""
TASK_ESTIMATE = "facetag.estimate"
"""Estimate the shares of a job."""
TASK_RETRAIN = "facetag.retrain"
"""Do a retraining."""

TASKS = frozenset({TASK_TAG, TASK_LIST, TASK_ESTIMATE, TASK_RETRAIN})
