import subprocess
import sys

NOISY = """
import os
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called\\n")
os.write(2, b"I0000 00:00:1 port.cc:153] oneDNN custom operations are on.\\n")
os.write(2, b"E0000 00:00:1 something is broken\\n")
value = 7
"""
PROGRAM = """
import sys
from facetag_cli.quiet_import import QuietImport
sys.meta_path.insert(0, QuietImport("noisy"))
import noisy
assert noisy.value == 7 and noisy.__spec__.loader is noisy.__loader__
print("after", file=sys.stderr)
"""


def test_notes_are_held_back_and_errors_and_later_lines_pass(tmp_path):
    (tmp_path / "noisy.py").write_text(NOISY)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stderr.splitlines() == ["E0000 00:00:1 something is broken", "after"]
