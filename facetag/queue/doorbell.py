"""Read what a message must say to be a doorbell: the name of a task, and an id.

All else that Celery would obey in a message (time limits, times of delivery, callbacks) is left
out.
"""

import base64
import json
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


def purify(message: Any, queue: str) -> dict[str, Any]:
    """Return the doorbell that a message of Celery's protocol 2 is.

    Raises one of NOT_A_DOORBELL if it has no known task, or not one id.
    """
    said = json.loads(base64.b64decode(message["body"], validate=True))
    task, subject = read_doorbell(message["headers"], said)
    body = json.dumps([[subject], {}, {}])
    number = str(uuid.uuid4())
    return {
        "body": base64.b64encode(body.encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": task, "id": number, "root_id": number},
        "properties": {
            "correlation_id": number,
            "delivery_tag": number,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "body_encoding": "base64",
        },
    }
