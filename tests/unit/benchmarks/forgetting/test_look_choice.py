"""The choice of the look under which the champion is surely worse."""

import numpy as np

from benchmarks.forgetting.domain_kinds import LOOKS, POOR
from benchmarks.forgetting.look_choice import choose_look, compare_looks, to_text
from facetag_trainer.data.shards import Sample


def row(look, age, gender, race, passes=("right",)):
    lows = {"age": age, "gender": gender, "race": race}
    rows = {head: {"interval": [low, 9.0]} for head, low in lows.items()}
    return {"look": look, **rows, "passes": list(passes)}


def test_the_look_with_the_largest_sure_loss_of_all_heads_is_chosen():
    mild, strong = row("mild", 0.2, 0.01, 0.01), row("strong", 0.4, 0.03, 0.02)
    lopsided = row("lopsided", 9.0, 0.2, 0.001)
    assert choose_look([mild, strong, lopsided]) == "strong"
    assert choose_look([mild, row("doubted", 0.4, 0.03, 0.02, passes=())]) == "mild"
    assert choose_look([row("unsure", 1.0, -0.001, 0.1)]) is None


class FakeReader:
    """Answers rightly, but for the gender of some spoiled photos."""

    def __init__(self):
        self.read_names = []

    def read(self, name, samples, kind=None):
        self.read_names.append((name, len(samples)))
        labels = {
            head: np.array([one.labels[head] for one in samples], np.float32)
            for head in ("age", "gender", "race")
        }
        wrong = np.arange(len(samples)) % 4 == 0 if kind == LOOKS[1] else np.zeros(len(samples))
        gender = np.where(wrong, 1 - labels["gender"], labels["gender"])
        outputs = {
            "age": labels["age"][:, None] + np.arange(len(samples))[:, None] % 5,
            "gender": gender[:, None],
            "race": np.eye(5, dtype=np.float32)[labels["race"].astype(int)],
        }
        return [labels, outputs]


def test_photos_of_other_races_are_read_and_labels_are_checked_on_new_ones():
    def make(race, number):
        age, gender = 20.0 + number % 50, float(number // 2 % 2)
        return Sample(f"{number}.jpg", b"", {"age": age, "gender": gender, "race": race})

    held_out = [make(float(number % 5), number) for number in range(1000)]
    reader = FakeReader()
    new = [make(2.0 + number % 2, number) for number in range(300)]
    found = compare_looks(reader, held_out, new, LOOKS[:2])
    judges = [one for one in held_out if one.labels["race"] in (0, 1, 4) and one.labels["age"] > 20]
    assert (POOR.name, len(judges)) in reader.read_names
    assert found["n"] == len(judges)
    same, worse = found["looks"]
    assert same["gender"]["lost"] == 0
    assert worse["gender"]["interval"][0] > 0.2
    assert same["passes"] == ["right"]
    # The champion loses neither age nor race.
    assert found["chosen"] is None
    assert "Chosen: None" in to_text({**found, "machine": "here"})
