"""Read what a message must say to be a doorbell: the name of a task, and an id.

All else that Celery would obey in a message (time limits, times of delivery, callbacks) is left
out.
"""

import uuid
from typing import Any

from facetag.queue.task_names import TASKS

NOT_A_DOORBELL = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
"""The exceptions of a message that is not JSON, or JSON of another form."""


def read_doorbell(headers: Any, body: Any) -> tuple[str, str]:
    """Return the task and the id that a message of Celery's protocol 2 names.

    Raises one of NOT_A_DOORBELL if it has no known task, or not one id.
    """
    task = headers["task"]
    (subject,), _, _ = body
    if task not in TASKS:
        raise ValueError(f"there is no task {task!r}")
    return task, str(uuid.UUID(subject))
