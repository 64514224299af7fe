"""Plan files: what they state, what they refuse in words, and that what is written can be read."""

from dataclasses import fields

import pytest

from facetag.errors import PlanInvalid
from facetag.vision.network.spec import BACKBONES, NetworkSpec
from facetag_trainer.data.augmentation import Jitter
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.plan_file import NetworkTable, PlanDocument, read_plan, write_plan

WHOLE = """
precision = "mixed_bfloat16"
fold = "1/5"

[network]
backbone = "cnn"
heads = ["race"]

[fit]
mixup = 0
balanced = ["race"]

[fit.jitter]
scale = 0.1
"""


def read(tmp_path, text):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    return read_plan(path)


def test_a_plan_states_what_the_file_says_and_nothing_else(tmp_path):
    plan = read(tmp_path, WHOLE)
    assert (plan.precision, plan.fold, plan.answers) == ("mixed_bfloat16", "1/5", None)
    assert plan.network == {"backbone": "cnn", "heads": ("race",)}
    assert plan.fit == {"mixup": 0, "balanced": ["race"], "jitter": {"scale": 0.1}}
    fit = FitPlan(**plan.fit)
    assert fit.balanced == ("race",)
    assert fit.jitter == Jitter(scale=0.1)


def test_an_empty_file_states_nothing(tmp_path):
    plan = read(tmp_path, "")
    assert (plan.network, plan.fit, plan.precision) == ({}, {}, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[fit]\nepochs = 0", "fit.epochs: should be greater than or equal to 1, but is 0"),
        ("[fit]\nmixed = 1", "fit.mixed: unknown key; the keys are epochs, batch_size"),
        ("[fit]\nbalanced = ['age']", "should be 'gender' or 'race', but is 'age'"),
        ("[fit.jitter]\nscales = 1", "fit.jitter.scales: unknown key; the keys are scale, shift"),
        ("[network]\nbackbone = 'vgg'", "network.backbone: should be 'inceptionv3', 'xception'"),
        ("[network]\nsize = 96", "network.size: unknown key; the keys are backbone, input_size"),
        ("fold = '6/5'", 'fold: should be a fold: write the first of five as "1/5"'),
        ("fold = 'one'", 'fold: should be a fold: write the first of five as "1/5"'),
        ("mixup = 0.2", "mixup: unknown key; the keys are precision, fold, answers"),
        ("[fit", "is no TOML file"),
    ],
)
def test_a_wrong_plan_is_refused_by_its_key_and_what_is_allowed(tmp_path, text, words):
    with pytest.raises(PlanInvalid) as refused:
        read(tmp_path, text)
    assert words in str(refused.value)


def test_all_wrong_keys_are_named_at_once(tmp_path):
    with pytest.raises(PlanInvalid) as refused:
        read(tmp_path, "[fit]\nepochs = 0\nmixup = -1\n[network]\ndropout = 1")
    assert [line.split(":")[0].strip() for line in str(refused.value).splitlines()[1:]] == [
        "network.dropout",
        "fit.epochs",
        "fit.mixup",
    ]


def test_a_plan_that_was_written_is_read_as_it_was(tmp_path):
    values = {"backbone": "cnn", "dropout": 0.2, "learning_rate": 1.2345e-05, "balanced": ["race"]}
    plan = read(tmp_path, write_plan(values))
    assert plan.network == {"backbone": "cnn", "dropout": 0.2}
    assert plan.fit == {"learning_rate": 1.2345e-05, "balanced": ["race"]}
    with pytest.raises(ValueError, match="momentum"):
        write_plan({"momentum": 0.9})


def test_the_network_table_has_the_fields_and_defaults_of_a_network():
    table = NetworkTable().model_dump()
    spec = {one.name: getattr(NetworkSpec(), one.name) for one in fields(NetworkSpec)}
    # `facetag train` fits distributions; bundles that state nothing have values.
    assert table == {**spec, "age_output": "distribution"}
    choices = NetworkTable.model_json_schema()["properties"]["backbone"]["enum"]
    assert set(choices) == set(BACKBONES)
    assert PlanDocument().fit == FitPlan()


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ("[fit]\nlearning_rate = inf", "fit.learning_rate: should be a finite number"),
        ("[fit]\nmixup = nan", "fit.mixup: should be a finite number"),
        ('answers = "nowhere.npz"', "answers: Path does not point to a file"),
        ('taught = "nowhere.npz"', "taught: Path does not point to a file"),
    ],
)
def test_numbers_that_are_none_and_files_that_are_missing_are_refused(tmp_path, stated, words):
    path = tmp_path / "plan.toml"
    path.write_text(stated)
    with pytest.raises(PlanInvalid, match=words):
        read_plan(path)
