import subprocess
import sys

from facetag.settings import Settings
from facetag_worker.main import LOAD_LIMIT_S, make_worker_app

PARENT = """
import sys
import facetag_cli.commands.service.worker, facetag_worker.main
from facetag.settings import Settings
facetag_worker.main.make_worker_app(Settings(redis_url="redis://127.0.0.1:1/0"))
print(sorted(name for name in ("tensorflow", "keras", "mtcnn") if name in sys.modules))
"""


def test_the_parent_never_imports_tensorflow():
    done = subprocess.run(
        [sys.executable, "-c", PARENT], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_child_may_take_minutes_to_load_its_network():
    app = make_worker_app(Settings(redis_url="redis://127.0.0.1:1/0"))
    assert app.conf.worker_proc_alive_timeout == LOAD_LIMIT_S
