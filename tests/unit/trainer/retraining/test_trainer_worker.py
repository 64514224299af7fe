import subprocess
import sys

from facetag.queue.celery_app import QUEUE_RETRAIN
from facetag.queue.consumer import Stopping
from facetag.queue.task_names import TASK_RETRAIN
from facetag.settings import Settings
from facetag_trainer.retraining.trainer_worker import add_tasks, make_trainer_app

SETTINGS = Settings(redis_url="redis://127.0.0.1:1/0", worker_max_memory_mb=100)
PARENT = """
import sys
import facetag_cli.commands.service.worker, facetag_trainer.retraining.trainer_worker
from facetag.settings import Settings
facetag_trainer.retraining.trainer_worker.make_trainer_app(Settings(redis_url="redis://127.0.0.1:1/0"))
heavy = ("tensorflow", "keras", "mtcnn", "numpy", "facetag_worker")
print(sorted(name for name in heavy if name in sys.modules))
"""


def test_nothing_heavy_is_loaded_until_a_retraining_is_asked_for():
    done = subprocess.run(
        [sys.executable, "-c", PARENT], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_fit_may_take_as_long_and_as_much_as_it_needs_in_a_process_of_its_own():
    conf = make_trainer_app(SETTINGS).conf
    assert conf.task_time_limit is None
    assert conf.worker_max_memory_per_child is None
    assert conf.worker_max_tasks_per_child == 1


def test_a_message_is_acknowledged_when_it_is_taken_one_at_a_time():
    conf = make_trainer_app(SETTINGS).conf
    assert conf.task_acks_late is False
    assert (conf.worker_prefetch_multiplier, conf.worker_disable_prefetch) == (1, True)


def test_it_knows_its_own_task_and_nothing_of_photos():
    app = make_trainer_app(SETTINGS)
    add_tasks(app, SETTINGS, Stopping())
    assert [name for name in app.tasks if not name.startswith("celery.")] == [TASK_RETRAIN]
    assert QUEUE_RETRAIN in app.amqp.queues
