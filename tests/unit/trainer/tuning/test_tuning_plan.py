"""What trials have in common, how they are fitted, and what a study is called."""

import shutil
from dataclasses import replace

import pytest

from facetag_trainer.tuning.tuning_plan import TuningPlan, name_study
from tests.unit.trainer.chips import chip_members, write_tar

PLAN = TuningPlan("cnn", size=96, part=0.2, epochs=3)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    return [
        write_tar(folder / f"{name}.tar", chip_members(count))
        for name, count in (("a", 2), ("b", 3))
    ]


def test_a_trial_is_fitted_by_its_values_and_the_budget():
    made = PLAN.training({"learning_rate": 1e-3, "hidden_units": 64}, steps=100)
    assert (made.spec.backbone, made.spec.input_size, made.spec.hidden_units) == ("cnn", 96, 64)
    assert made.spec.age_output == "distribution"
    assert (made.fit.epochs, made.fit.learning_rate, made.fit.frozen_layers) == (3, 1e-3, 0)


def test_the_average_spans_as_much_of_a_short_fit_as_of_the_one_that_ships():
    assert PLAN.training({}, steps=100).fit.averaging == pytest.approx(1 - 8 / 300)
    whole = replace(PLAN, epochs=8).training({}, steps=518)
    assert whole.fit.averaging == pytest.approx(0.998, abs=1e-4)
    assert replace(PLAN, epochs=1).training({}, steps=2).fit.averaging == 0


def test_frozen_layers_are_the_trials_where_they_are_searched(tmp_path):
    weights = tmp_path / "w.weights.h5"
    weights.write_bytes(b"weights")
    plan = TuningPlan("inceptionv3", backbone_weights=weights)
    assert plan.training({}, 10).fit.frozen_layers == 52
    assert plan.training({"frozen_layers": 229}, 10).fit.frozen_layers == 229
    assert plan.training({}, 10).backbone_weights == weights


def test_a_study_is_named_after_network_budget_and_data(shards):
    stated = PLAN.to_json(shards)
    assert name_study(stated) == f"cnn-96px-0.2-3ep-{stated['digest']}"
    assert [one["name"] for one in stated["shards"]] == ["a.tar", "b.tar"]


def test_the_digest_tells_every_difference_that_matters(shards, tmp_path):
    weights = tmp_path / "w.weights.h5"
    weights.write_bytes(b"weights")
    plans = [
        PLAN,
        replace(PLAN, network="xception"),
        replace(PLAN, size=75),
        replace(PLAN, part=0.3),
        replace(PLAN, epochs=4),
        replace(PLAN, age_output="value"),
        replace(PLAN, precision="mixed_bfloat16"),
        replace(PLAN, backbone_weights=weights),
    ]
    digests = {plan.to_json(shards)["digest"] for plan in plans}
    assert len(digests) == len(plans)
    assert PLAN.to_json(shards[:1])["digest"] not in digests


def test_names_and_order_of_the_shards_do_not_matter(shards, tmp_path):
    renamed = shutil.copy(shards[0], tmp_path / "elsewhere.tar")
    assert PLAN.to_json([shards[1], renamed])["digest"] == PLAN.to_json(shards)["digest"]


def test_no_folder_of_the_machine_is_stated(shards, tmp_path):
    weights = tmp_path / "w.weights.h5"
    weights.write_bytes(b"weights")
    stated = str(replace(PLAN, backbone_weights=weights).to_json(shards))
    assert str(shards[0].parent) not in stated
    assert str(tmp_path) not in stated
