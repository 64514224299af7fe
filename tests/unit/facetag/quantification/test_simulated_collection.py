import numpy as np

from facetag.quantification.groupings import GROUPINGS
from facetag.quantification.simulated_collection import CollectionSimulator
from tests.unit.facetag.quantification.conftest import draw_faces

GENDER, GENDER_BY_RACE = GROUPINGS[0], GROUPINGS[4]
FACES = 2000


def spread(held_out, grouping, group):
    """Return how far means of simulated answers lie apart, in units of what counts explain."""
    simulator = CollectionSimulator(held_out, grouping, FACES, np.ones(len(grouping.labels)))
    shares = np.eye(len(grouping.labels))[group]
    rng = np.random.default_rng(1)
    drawn = [held_out.answers.female[simulator.draw(shares, rng).rows["gender"]] for _ in range(40)]
    within = np.mean([one.std() for one in drawn]) / FACES**0.5
    return np.std([one.mean() for one in drawn]) / within


def test_few_faces_of_a_crossing_leave_open_what_its_answers_are(held_out):
    codes = GENDER_BY_RACE.codes(held_out.codes)
    others = np.flatnonzero(codes != 3)
    few = held_out.take(np.concatenate([others, np.flatnonzero(codes == 3)[:6]]))
    assert spread(few, GENDER_BY_RACE, 3) > 10
    assert spread(held_out, GENDER_BY_RACE, 3) < 6


def test_faces_of_one_factor_are_drawn_as_often_as_they_are_held_out(held_out):
    assert spread(held_out, GENDER, 1) < 1.5


def test_shares_are_those_that_were_drawn(held_out):
    simulator = CollectionSimulator(held_out, GENDER_BY_RACE, 300, np.ones(10))
    drawn = simulator.draw(draw_shares(), np.random.default_rng(2))
    assert drawn.weights.sum() == 300
    assert np.abs(drawn.shares - draw_shares()).max() < 0.1


def draw_shares():
    return np.random.default_rng(3).dirichlet(np.ones(10))


def test_a_crossing_without_a_face_takes_its_answers_from_two():
    faces = draw_faces(400, seed=5)
    seen = faces.take(np.flatnonzero(GENDER_BY_RACE.codes(faces.codes) != 9))
    simulator = CollectionSimulator(seen, GENDER_BY_RACE, 200, np.ones(10))
    drawn = simulator.draw(np.eye(10)[9], np.random.default_rng(4))
    assert drawn.shares[9] == 1
    assert seen.answers.female[drawn.rows["gender"]].mean() > 0.6
    assert seen.answers.race[drawn.rows["race"], 4].mean() > 0.2


def test_simulated_faces_are_of_the_groups_and_drawn_by_their_chances(held_out):
    women = held_out.codes["gender"] == 1
    chances = np.where(women, np.arange(len(held_out)) % 2, 0.0)
    simulator = CollectionSimulator(held_out, GENDER, 400, np.ones(2), chances)
    drawn = simulator.draw(np.array([0.25, 0.75]), np.random.default_rng(6)).rows["gender"]
    of_women = women[drawn]
    assert of_women.mean() == np.clip(of_women.mean(), 0.65, 0.85)
    assert (drawn[of_women] % 2 == 1).all()
    # No man has a chance: any man is drawn then.
    assert len(set(drawn[~of_women])) > 20


def test_shares_of_groups_that_were_not_held_out_alone_draw_the_others(held_out):
    known = held_out.take(np.flatnonzero(held_out.codes["race"] != 4))
    simulator = CollectionSimulator(known, GROUPINGS[1], 100, np.ones(5))
    drawn = simulator.draw(np.eye(5)[4], np.random.default_rng(2))
    assert drawn.shares[4] == 0
    assert drawn.shares.sum() == 1
