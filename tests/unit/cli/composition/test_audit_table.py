"""Labels to review as CSV: names come from a tar, which may be anybody's."""

import csv
import io

from facetag_cli.composition.audit_table import describe_images, write_review
from facetag_trainer.audit.label_audit import DoubtedLabel, LabelAudit


def test_no_name_of_a_tar_is_a_formula_or_breaks_a_row():
    names = ["=1+1.jpg", "a\tb.jpg", "caf\udce9.jpg", "plain.jpg"]
    doubted = [DoubtedLabel(name, "gender", "female", "male", 0.1) for name in names]
    file = io.StringIO()
    write_review(LabelAudit(doubted, [], {}), file)
    file.seek(0)
    shown = [row["image"] for row in csv.DictReader(file)]
    assert shown == [r"\x3d1+1.jpg", r"a\x09b.jpg", r"caf\xe9.jpg", "plain.jpg"]


def test_it_says_what_was_left_out_and_which_labels_are_too_few():
    audit = LabelAudit([], [], {"race": 4})
    counts, race = describe_images(audit, {"images": 1200, "without_face": 3, "invalid": 2})
    assert counts == (
        "Images with valid labels: 1,200; no face was found in 3. Images left out: 2."
    )
    assert race == "Labels of race: 4. An audit takes 10 at least."
