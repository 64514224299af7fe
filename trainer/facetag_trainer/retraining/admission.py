"""Decide which images of new shards may be fitted on, by the ledger; write nothing."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from facetag.db.engine import transaction
from facetag.errors import ImageUnreadable, ShardRefused
from facetag.retraining.domains import domain_of
from facetag.retraining.ledger import (
    NEVER_FITTED,
    TEST,
    find_protected,
    find_shards,
    image_parts,
    known_hashes,
    learnt_shards,
    refuse_fitted,
    refuse_known,
)
from facetag_trainer.data.cache_preparation import PreparePlan
from facetag_trainer.data.shard_index import ShardIndex, shards_of_images
from facetag_trainer.data.splits import image_digests, read_held_out
from facetag_trainer.retraining.candidate import list_rounds
from facetag_trainer.retraining.training_round import (
    JUDGING,
    Examined,
    Round,
    examine_shards,
    examine_tests,
    name_shards,
    to_hashes,
)

SHOWN = 3
"""A refusal names this many images."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The shards that the user gives: new ones, earlier ones of the champion, and test sets."""

    shards: Sequence[ShardIndex]
    earlier: Sequence[ShardIndex] = ()
    tests: Sequence[ShardIndex] = ()
    leave_out: bool = False
    """Whether to leave out images of test sets and holdouts instead of refusing their shard."""
    domain: str | None = None
    """The collection that the new shards come from; None takes it from the first one's name."""
    again: bool = False
    """Whether to take shards that were learnt by a bundle outside the champion's line."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The images of a retraining: the new round, the known earlier rounds, and what was given."""

    new: Examined
    earlier: list[Round]
    """Rounds of the champion's line that the ledger holds or the user gave."""
    given_earlier: Examined | None
    given_tests: Examined | None


def admit_shards(
    sessions: sessionmaker[Session],
    asked: Asked,
    manifest: Mapping[str, Any],
    plan: PreparePlan,
    *,
    tenant_id: str,
) -> Admission:
    """Check the new shards against the ledger and the given shards; `manifest` is the champion's.

    Raises ShardRefused if a shard is known already or has images that must not be fitted on, and
    if a test set has images that a network was fitted on.
    """
    learnt = learnt_shards(manifest)
    # Before anything asks for a digest: it comes with the images, so each tar is read once.
    images = shards_of_images(asked.shards)
    shards_of_images(asked.earlier)
    test_images = shards_of_images(asked.tests)
    with transaction(sessions) as session:
        refuse_known(
            session, name_shards(asked.shards), learnt, again=asked.again, tenant_id=tenant_id
        )
        refuse_fitted(session, name_shards(asked.tests), learnt, tenant_id=tenant_id)
    # Reading takes minutes; no transaction stays open meanwhile.
    with transaction(sessions) as session:
        unrecorded = _find_unrecorded(session, asked.earlier, learnt, tenant_id=tenant_id)
        earlier = known_rounds(session, manifest, tenant_id=tenant_id)
        known = known_hashes(session, list(learnt), tenant_id=tenant_id)
        protected = find_protected(session, images, list(learnt), tenant_id=tenant_id)
        learnt_parts = image_parts(session, list(learnt), tenant_id=tenant_id)
        decided = image_parts(session, list(name_shards(asked.shards)), tenant_id=tenant_id)
    tests = examine_tests(asked.tests) if asked.tests else None
    held_out = read_held_out(manifest)
    given = None
    if unrecorded:
        given = examine_shards(unrecorded, plan, known=to_hashes([]), held_out=held_out)
    if given is not None:
        learnt_parts |= given.round.parts
    _refuse_learnt(test_images, learnt_parts)
    for examined in (tests, given):
        if examined is not None:
            known += [one.tobytes() for one in examined.hashes]
            protected |= _protected_by(examined, images)
    if protected and not asked.leave_out:
        raise ShardRefused(_describe_protected(protected))
    new = examine_shards(
        asked.shards,
        plan,
        known=to_hashes(known),
        left_out=protected.keys() | _find_held_out(images, held_out or ()),
        decided=decided,
        hold_out_at_least=JUDGING,
        domain=asked.domain,
    )
    if not new.samples:
        reasons = ", ".join(f"{number} {reason}" for reason, number in new.dropped.most_common())
        raise ShardRefused(
            f"No image of the shards can be fitted on ({reasons}): give shards with new ones."
        )
    if given is not None:
        earlier = [given.round, *earlier]
    return Admission(new, earlier, given, tests)


def known_rounds(session: Session, manifest: Mapping[str, Any], *, tenant_id: str) -> list[Round]:
    """Return the rounds of a bundle with those of their shards that the ledger holds."""
    rounds = []
    domains = {shard["sha256"]: domain_of(shard) for shard in manifest.get("shards", [])}
    for shards in list_rounds(manifest.get("shards", [])):
        recorded = find_shards(session, list(shards), tenant_id=tenant_id)
        here = {digest: name for digest, name in shards.items() if digest in recorded}
        if here:
            parts = image_parts(session, list(here), tenant_id=tenant_id)
            rounds.append(Round(here, parts, domains[next(iter(shards))]))
    return rounds


def _find_unrecorded(
    session: Session, shards: Sequence[ShardIndex], learnt: Mapping[str, str], *, tenant_id: str
) -> list[ShardIndex]:
    """Return the earlier shards that the ledger does not hold; refuse shards not learnt before."""
    digests = {shard.sha256: shard for shard in shards}
    for digest, shard in digests.items():
        if digest not in learnt:
            raise ShardRefused(
                f"{shard.name} is not one of the champion's shards: do not give it with --earlier."
            )
    recorded = find_shards(session, list(digests), tenant_id=tenant_id)
    # In the manifest's order, which decides the name of the crop cache of `facetag train`.
    order = [digest for digest in learnt if digest in digests and digest not in recorded]
    return [digests[digest] for digest in order]


def _refuse_learnt(tests: Mapping[str, ShardIndex], learnt: Mapping[str, str]) -> None:
    """Raise ShardRefused if a network was fitted on images of the test sets, or tuned on them."""
    known = sorted(image for image in tests if learnt.get(image, TEST) not in NEVER_FITTED)
    if known:
        names = ", ".join(sorted({tests[image].name for image in known}))
        raise ShardRefused(
            f"The champion was fitted or tuned on {len(known)} images of the test set {names}: "
            f"take them out of it (SHA-256 {_first_of(known)})."
        )


def _first_of(images: Sequence[str]) -> str:
    return f"{', '.join(images[:SHOWN])}{', ...' if len(images) > SHOWN else ''}"


def _find_held_out(images: Mapping[str, ShardIndex], held_out: Collection[str]) -> set[str]:
    """Return the images that look as one that a bundle held out; `held_out` has its digests.

    The shards of that one need not be here.
    """
    found = set()
    for image, shard in images.items():
        with suppress(ImageUnreadable):
            (digest,) = image_digests(shard.hash_image(shard.samples[image])[np.newaxis])
            if digest in held_out:
                found.add(image)
    return found


def _protected_by(examined: Examined, images: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return the images in these shards' holdout or tests: SHA-256 to part and shard."""
    parts, names = examined.round.parts, examined.round.shards
    return {
        image: (parts[image], names[examined.shard_of[image]])
        for image in images
        if parts.get(image) in NEVER_FITTED
    }


def _describe_protected(protected: Mapping[str, tuple[str, str]]) -> str:
    kinds = sorted({f"the {part} of {name}" for part, name in protected.values()})
    return (
        f"{len(protected)} images of the shards are in {'; '.join(kinds)}. No network may be "
        f"fitted on them (SHA-256 {_first_of(sorted(protected))}). Give --leave-out to leave them "
        "out."
    )
