"""What the ledger lets through, with shards of small images."""

from dataclasses import replace

import numpy as np
import pytest

from facetag.db.engine import transaction
from facetag.errors import ShardRefused
from facetag.heads import HELD_OUT_IMAGES
from facetag.retraining.ledger import record_shards
from facetag.settings import Settings
from facetag_trainer.data.cache_preparation import PreparePlan
from facetag_trainer.data.shard_index import index_shards
from facetag_trainer.data.shards import shard_digest
from facetag_trainer.data.splits import record_held_out
from facetag_trainer.retraining.admission import Asked, admit_shards, known_rounds
from facetag_trainer.retraining.training_round import examine_shards, read_round, to_hashes
from tests.unit.trainer.chips import encode, waves, write_tar
from tests.unit.trainer.opened_files import count_opened

pytestmark = pytest.mark.integration
SETTINGS = Settings()
PLAN = PreparePlan(SETTINGS, size=75, validation_share=0.4)


def write_shard(path, seeds):
    members = [
        (f"30_{seed % 2}_0_{seed:04}.jpg", encode(waves(np.random.default_rng(seed), 40)))
        for seed in seeds
    ]
    return write_tar(path, members)


@pytest.fixture
def old(tmp_path):
    return write_shard(tmp_path / "old.tar", range(60))


def manifest_of(*paths):
    return {"shards": [{"name": path.name, "sha256": shard_digest(path)} for path in paths]}


def ask(shards, earlier=(), **choices):
    return Asked(index_shards(shards, SETTINGS), index_shards(earlier, SETTINGS), **choices)


def admit(sessions, asked, manifest):
    return admit_shards(sessions, asked, manifest, PLAN, tenant_id="local")


def record(sessions, path, version):
    examined = examine_shards(index_shards([path], SETTINGS), PLAN, known=to_hashes([]))
    with transaction(sessions) as session:
        record_shards(
            session,
            examined.round.shards,
            examined.ledger_images(),
            tenant_id="local",
            version=version,
        )
    return examined


def image_of_part(examined, *parts):
    """The seed of the first image with such a part, by its place in the shard."""
    found = [number for number, part in enumerate(examined.round.parts.values()) if part in parts]
    return found[0]


def test_an_image_of_the_recorded_holdout_refuses_its_shard(sessions, old, tmp_path):
    examined = record(sessions, old, "v1")
    seed = image_of_part(examined, "holdout")
    new = write_shard(tmp_path / "new.tar", [seed, 100, 101])
    with pytest.raises(ShardRefused, match=r"1 images .* holdout of old\.tar"):
        admit(sessions, ask([new]), manifest_of(old))
    left = admit(sessions, ask([new], leave_out=True), manifest_of(old))
    assert left.new.dropped == {"image of a test set or a holdout": 1}
    assert len(left.new.samples) == 2


def test_an_image_that_was_trained_on_is_dropped_and_counted(sessions, old, tmp_path):
    examined = record(sessions, old, "v1")
    seed = image_of_part(examined, "training")
    new = write_shard(tmp_path / "new.tar", [seed, 100, 101])
    admission = admit(sessions, ask([new]), manifest_of(old))
    assert admission.new.dropped == {"near twin of a known image": 1}


def test_a_holdout_that_is_given_just_now_protects_as_a_recorded_one(sessions, old, tmp_path):
    examined = examine_shards(index_shards([old], SETTINGS), PLAN, known=to_hashes([]))
    new = write_shard(tmp_path / "new.tar", [image_of_part(examined, "holdout"), 100])
    with pytest.raises(ShardRefused, match=r"holdout of old\.tar"):
        admit(sessions, ask([new], earlier=[old]), manifest_of(old))


def test_some_of_the_earlier_shards_have_the_parts_that_all_of_them_were_given(sessions, tmp_path):
    """Look-alikes in several shards are on one side, whichever of the shards is given."""
    paths = [tmp_path / "one.tar", tmp_path / "two.tar"]
    for number, path in enumerate(paths):
        pixels = (waves(np.random.default_rng(seed), 40) for seed in range(60))
        # The same photos, each a little brighter in the second shard: look-alikes, not copies.
        members = [
            (f"30_{seed % 2}_0_{seed:04}.jpg", encode(np.minimum(one, 250) + 4 * number))
            for seed, one in enumerate(pixels)
        ]
        write_tar(path, members)
    new = write_shard(tmp_path / "new.tar", range(200, 210))
    whole = examine_shards(index_shards(paths, SETTINGS), PLAN, known=to_hashes([]))
    parts = whole.round.parts
    held_out = np.array([part != "training" for part in parts.values()])
    manifest = manifest_of(*paths)
    manifest[HELD_OUT_IMAGES] = record_held_out(whole.hashes, held_out)
    for some in (paths, paths[::-1], paths[:1], paths[1:]):
        given = admit(sessions, ask([new], earlier=some), manifest).given_earlier.round.parts
        assert given == {image: parts[image] for image in given}
        assert len(given) == 60 * len(some)
    del manifest[HELD_OUT_IMAGES]
    apart = admit(sessions, ask([new], earlier=paths[:1]), manifest).given_earlier.round.parts
    assert any(parts[image] != part for image, part in apart.items()), "the record decides"


def test_what_the_champion_held_out_is_left_out_though_its_shard_is_not_here(
    sessions, old, tmp_path
):
    examined = examine_shards(index_shards([old], SETTINGS), PLAN, known=to_hashes([]))
    held_out = np.array([part != "training" for part in examined.round.parts.values()])
    manifest = manifest_of(old) | {HELD_OUT_IMAGES: record_held_out(examined.hashes, held_out)}
    new = write_shard(tmp_path / "new.tar", [image_of_part(examined, "validation"), 100, 101])
    admission = admit(sessions, ask([new]), manifest)
    assert admission.new.dropped == {"image of a test set or a holdout": 1}
    assert len(admission.new.samples) == 2


def test_a_test_set_that_was_recorded_protects_and_is_no_shard_itself(sessions, old, tmp_path):
    test = write_shard(tmp_path / "test.tar", [100, 200])
    record_tests = examine_shards(index_shards([test], SETTINGS), PLAN, known=to_hashes([]))
    with transaction(sessions) as session:
        images = [
            type(image)(image.shard, image.sha256, image.difference_hash, "test")
            for image in record_tests.ledger_images()
        ]
        names = record_tests.round.shards
        record_shards(session, names, images, tenant_id="local", version=None)
    new = write_shard(tmp_path / "new.tar", [100, 101])
    with pytest.raises(ShardRefused, match=r"in the test of test\.tar"):
        admit(sessions, ask([new]), manifest_of(old))
    with pytest.raises(ShardRefused, match="is a test set"):
        admit(sessions, ask([test]), manifest_of(old))


def test_a_shard_of_another_line_is_learnt_again_only_when_asked(sessions, old, tmp_path):
    new = write_shard(tmp_path / "new.tar", range(100, 110))
    record(sessions, new, "v2")
    with pytest.raises(ShardRefused, match="v2 was fitted on"):
        admit(sessions, ask([new]), manifest_of(old))
    admission = admit(sessions, ask([new], again=True), manifest_of(old))
    assert len(admission.new.samples) == 10


def test_images_keep_their_part_when_another_line_learns_them(sessions, old, tmp_path):
    new = write_shard(tmp_path / "new.tar", range(100, 160))
    first = record(sessions, new, "v2")
    plan = replace(PLAN, validation_share=0.05)
    asked = ask([new], again=True)
    again = admit_shards(sessions, asked, manifest_of(old), plan, tenant_id="local")
    assert again.new.round.parts == first.round.parts


def test_the_champions_own_shard_is_never_learnt_again(sessions, old):
    with pytest.raises(ShardRefused, match="The champion was fitted on"):
        admit(sessions, ask([old], again=True), manifest_of(old))


def test_a_shard_of_which_nothing_is_new_is_refused(sessions, old, tmp_path):
    examined = record(sessions, old, "v1")
    seed = image_of_part(examined, "training")
    new = write_shard(tmp_path / "new.tar", [seed])
    with pytest.raises(ShardRefused, match=r"\(1 near twin of a known image\): give shards with"):
        admit(sessions, ask([new]), manifest_of(old))


def test_a_shard_without_a_usable_image_is_refused_with_the_reason(sessions, old, tmp_path):
    record(sessions, old, "v1")
    nameless = write_tar(tmp_path / "new.tar", [("photo.jpg", b"1"), ("other.jpg", b"2")])
    with pytest.raises(ShardRefused, match=r"\(2 malformed name\)"):
        admit(sessions, ask([nameless]), manifest_of(old))


def test_what_a_network_was_fitted_on_is_no_test_set(sessions, old, tmp_path):
    examined = record(sessions, old, "v1")
    new = write_shard(tmp_path / "new.tar", range(100, 105))
    other = record(sessions, write_shard(tmp_path / "other.tar", range(200, 205)), "v2")
    for learnt in (old, tmp_path / "other.tar"):
        with pytest.raises(ShardRefused, match=rf"fitted on {learnt.name} already, so it is no"):
            admit(sessions, ask([new], tests=index_shards([learnt], SETTINGS)), manifest_of(old))
    assert other.round.parts
    seed = image_of_part(examined, "training", "validation", "calibration")
    mixed = write_shard(tmp_path / "mixed.tar", [seed, 300, 301])
    with pytest.raises(ShardRefused, match=r"tuned on 1 images of the test set mixed\.tar"):
        admit(sessions, ask([new], tests=index_shards([mixed], SETTINGS)), manifest_of(old))
    held_out = [image_of_part(examined, "holdout"), 300]
    unseen = write_shard(tmp_path / "unseen.tar", held_out)
    admit(sessions, ask([new], tests=index_shards([unseen], SETTINGS)), manifest_of(old))


def test_a_test_set_has_no_image_of_an_earlier_shard_that_is_given_just_now(
    sessions, old, tmp_path
):
    examined = examine_shards(index_shards([old], SETTINGS), PLAN, known=to_hashes([]))
    mixed = write_shard(tmp_path / "mixed.tar", [image_of_part(examined, "training"), 300])
    new = write_shard(tmp_path / "new.tar", range(100, 105))
    asked = ask([new], earlier=[old], tests=index_shards([mixed], SETTINGS))
    with pytest.raises(ShardRefused, match="tuned on 1 images"):
        admit(sessions, asked, manifest_of(old))


def test_rounds_are_those_of_the_champions_line_that_the_ledger_holds(sessions, old, tmp_path):
    other = write_shard(tmp_path / "other.tar", range(70, 90))
    examined = record(sessions, old, "v1")
    with transaction(sessions) as session:
        rounds = known_rounds(session, manifest_of(old, other), tenant_id="local")
    assert [one.shards for one in rounds] == [{shard_digest(old): "old.tar"}]
    assert rounds[0].parts == examined.round.parts


def test_each_shard_is_opened_once(sessions, old, tmp_path):
    new = write_shard(tmp_path / "new.tar", range(100, 110))
    test = write_shard(tmp_path / "test.tar", range(200, 205))
    asked = ask([new], earlier=[old], tests=index_shards([test], SETTINGS))
    manifest = manifest_of(old)
    with count_opened() as opened:
        admission = admit(sessions, asked, manifest)
        read_round(admission.earlier[0], asked.earlier)
        read_round(admission.new.round, asked.shards)
        assert admission.new.round.shards == {asked.shards[0].sha256: "new.tar"}
    assert {name: opened[name] for name in ("new.tar", "old.tar", "test.tar")} == {
        "new.tar": 1,
        "old.tar": 1,
        "test.tar": 1,
    }
