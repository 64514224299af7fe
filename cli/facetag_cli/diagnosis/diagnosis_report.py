"""Hold what a diagnosis found, and write it as text without secrets for a bug report."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

MASK = "***"
LABEL_WIDTH = 24
SHORTEST_SECRET = 4
"""Shorter values occur in words by chance."""
_SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|API_KEY|CREDENTIAL", re.IGNORECASE)
_USER_INFO = re.compile(r"(?<=://)[^/@\s]*@")
_QUERY = re.compile(r"(?<=\?)[^\s'\")]+")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: a label, what was found, and what is wrong with it and what to do, if anything."""

    label: str
    text: str
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A title with its findings."""

    title: str
    findings: tuple[Finding, ...]


def examine(title: str, look: Callable[[], Iterable[Finding]]) -> Section:
    """Return a section; if looking fails, what was found before and the failure are in it."""
    found: list[Finding] = []
    try:
        for finding in look():
            found.append(finding)  # noqa: PERF402 - what came before a failure stays
    except Exception as error:  # noqa: BLE001 - a diagnosis shows every fault
        fault = f"{type(error).__name__}: {error}"
        found.append(Finding("this section", "could not be completed", fault))
    return Section(title, tuple(found))


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Return the values that no report may show: passwords of URLs, keys and tokens."""
    secrets = [value for name, value in environment.items() if _SECRET_NAME.search(name)]
    secrets += [
        user_info.rstrip("@").partition(":")[2]
        for value in environment.values()
        for user_info in _USER_INFO.findall(value)
    ]
    return [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]


def mask_url(text: str) -> str:
    """Return text in which URLs have neither user and password nor parameters."""
    return _QUERY.sub(MASK, _USER_INFO.sub(f"{MASK}@", text))


def render(sections: Iterable[Section], secrets: Iterable[str] = ()) -> str:
    """Return the findings, and at the end all that is wrong, without secrets or the home's name."""
    lines: list[str] = []
    faults: list[str] = []
    for section in sections:
        lines += ["", section.title]
        for finding in section.findings:
            mark = "  " if finding.fault is None else "! "
            lines.append(f"{mark}{finding.label:<{LABEL_WIDTH}} {finding.text}".rstrip())
            if finding.fault is not None:
                faults.append(f"- {finding.label}: {finding.fault}")
    lines += ["", *(["What is wrong", *faults] if faults else ["Nothing is wrong."])]
    return _without_secrets("\n".join(lines).lstrip("\n") + "\n", secrets)


def _without_secrets(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    home = Path.home()
    return mask_url(text if home == Path("/") else text.replace(str(home), "~"))
