"""Stand in for `isolated_decoder_main`: do with each file what the file says."""

import os
import signal
import sys
import time

import numpy as np

import facetag.vision.image_decoder
from facetag.errors import ErrorCode, ImageUnreadable
from facetag.labelling import isolated_decoder_main
from facetag.vision.photo import whole_picture


def obey(data, *, formats, max_pixels, copy_side):
    if data == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if data == b"hang":
        time.sleep(600)
    if data == b"swell":
        return whole_picture(np.zeros((40_000, 40_000, 3), np.uint8), copy_side)
    if data == b"cut":
        raise ImageUnreadable(ErrorCode.TRUNCATED, "cut off")
    # What the decoders of formats print must not spoil the answers.
    os.write(1, b"a warning of libjpeg")
    return whole_picture(np.full((2, 3, 3), data[0], np.uint8), copy_side)


if __name__ == "__main__":
    if os.environ.get("FACETAG_REFUSE_TO_START"):
        sys.exit(1)
    facetag.vision.image_decoder.decode_picture = obey
    isolated_decoder_main.main()
