"""Count what a second labelling of the same photos changed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from facetag.client.api_client import Line
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
        counts = [len(line["faces"]) for line in (old, new)]
        if old["state"] != new["state"] or counts[0] != counts[1]:
            self.regrouped += 1
            yield (
                f"was {old['state']} ({plural(counts[0], 'face')}), "
                f"now {new['state']} ({counts[1]})"
            )
            return
        for before, after in zip(old["faces"], new["faces"], strict=True):
            self.faces += 1
            yield from self._count_face(before, after)

    def _count_face(self, before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
        if "age" in before and "age" in after:
            self.years.append(abs(after["age"] - before["age"]))
        for name in self.labels:
            was, now = (face.get(name, {}).get("label") for face in (before, after))
            if was != now:
                self.labels[name] += 1
                yield f"{name} was {was}, now {now}"


def compare_lines(
    old: Iterable[Line], new: Iterable[Line], *, champion: str | None = None
) -> LabelChanges:
    """Compare two jobs' lines, which belong to the same photos in the same order.

    `champion` is the bundle that should have made the new lines.
    """
    comparison = LabelChanges(champion=champion)
    for before, after in zip(old, new, strict=True):
        comparison.add(before, after)
    return comparison
