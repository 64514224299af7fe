"""Count what a second labelling of the same photos changed.

What people said of the faces is no change: the network's own labels are compared.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from facetag.client.api_client import Line
from facetag.reviews.verdicts import Verdict, labels_of
from facetag_cli.reporter import plural

NAMED = 20
"""The most changed photos that are listed."""


@dataclass(slots=True)
class LabelChanges:
    """Count the differences between two labellings, and list some photos that differ."""

    photos: int = 0
    faces: int = 0
    """Compared faces: those of photos with the same number of faces in both."""
    regrouped: int = 0
    """Photos whose state or number of faces changed."""
    labels: dict[str, int] = field(default_factory=lambda: {"gender": 0, "race": 0})
    years: list[float] = field(default_factory=list)
    versions: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))
    examples: list[str] = field(default_factory=list)
    changed: int = 0
    champion: str | None = None
    """The bundle that should have labelled the second time; None if it is not known."""
    behind: int = 0
    """Photos that another bundle labelled, because a worker had not switched yet."""
    reviewed: Collection[str] = ()
    """Images of which people reviewed the first labels, and may have rejected faces."""

    def add(self, old: Line, new: Line) -> None:
        """Count one photo."""
        self.photos += 1
        for line, versions in zip((old, new), self.versions, strict=True):
            if line["model"]:
                versions.add(line["model"])
        self.behind += bool(self.champion and new["model"] and new["model"] != self.champion)
        changes = list(self._count(old, new))
        if changes:
            self.changed += 1
            if len(self.examples) < NAMED:
                self.examples.append(f"{new['image']}: {'; '.join(changes)}")

    def describe(self) -> str:
        """Return the differences as lines."""
        before, after = (", ".join(sorted(one)) or "none" for one in self.versions)
        share = 100 / max(1, self.faces)
        lines = [
            (
                f"{self.photos} photos, labelled by {before} before and by {after} now: "
                f"{self.changed} changed"
            ),
            f"the state or the number of faces changed for {self.regrouped} photos",
        ]
        lines += [
            f"{name} changed for {count} of {self.faces} faces ({count * share:.1f}%)"
            for name, count in self.labels.items()
        ]
        if self.years:
            mean = sum(self.years) / len(self.years)
            lines.append(
                f"ages differ by {mean:.1f} years on average, {max(self.years):.0f} at most"
            )
        if self.behind:
            lines.append(
                f"{self.behind} photos were not labelled by the champion {self.champion}, because "
                "a worker had not switched yet: run the command again"
            )
        if self.examples:
            lines += ["", *self.examples]
        if self.changed > len(self.examples):
            lines.append(f"... and {self.changed - len(self.examples)} more")
        return "\n".join(lines)

    def _count(self, old: Line, new: Line) -> Iterator[str]:
        """Yield a text per changed label; age differences are only collected."""
        faces = [_faces_of_network(line) for line in (old, new)]
        if old["image"] in self.reviewed:
            # The old line lacks faces that people rejected.
            boxes = [face["box"] for face in faces[0]]
            same = [face for face in faces[1] if face["box"] in boxes]
            faces[1] = same if len(same) == len(boxes) else faces[1]
        counts = [len(some) for some in faces]
        if old["state"] != new["state"] or counts[0] != counts[1]:
            self.regrouped += 1
            yield (
                f"was {old['state']} ({plural(counts[0], 'face')}), "
                f"now {new['state']} ({counts[1]})"
            )
            return
        for before, after in zip(*faces, strict=True):
            self.faces += 1
            yield from self._count_face(before, after)

    def _count_face(self, before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
        said = [_labels_of_network(face) for face in (before, after)]
        if all("age" in labels for labels in said):
            self.years.append(abs(said[1]["age"] - said[0]["age"]))
        for name in self.labels:
            was, now = (labels.get(name) for labels in said)
            if was != now:
                self.labels[name] += 1
                yield f"{name} was {was}, now {now}"


def compare_lines(
    old: Iterable[Line],
    new: Iterable[Line],
    *,
    champion: str | None = None,
    reviewed: Collection[str] = (),
) -> LabelChanges:
    """Compare two jobs' lines, which belong to the same photos in the same order.

    `champion` is the bundle that should have made the new lines. `reviewed` names the images of
    which people reviewed the old lines.
    """
    comparison = LabelChanges(champion=champion, reviewed=reviewed)
    for before, after in zip(old, new, strict=True):
        comparison.add(before, after)
    return comparison


def _faces_of_network(line: Line) -> list[dict[str, Any]]:
    """Return the faces that the detector found, without those that people drew."""
    return [
        face for face in line["faces"] if face.get("reviewed", {}).get("verdict") != Verdict.MISSED
    ]


def _labels_of_network(face: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the age and labels that the network gave, whatever people said of them."""
    said: Mapping[str, Any] = face["reviewed"]["said"] if "reviewed" in face else labels_of(face)
    return said
