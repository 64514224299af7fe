"""Write results as XMP sidecars, which photo managers read beside the photos.

Faces are regions of the Metadata Working Group's schema; what is apparent about them is text in the
region's description, so that no name of a person is ever written.
"""

import errno
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from facetag.atomic_write import atomic_write
from facetag.client.api_client import Line
from facetag.disk_space import NO_SPACE
from facetag.errors import InputInvalid
from facetag.inputs.photo_files import photo_below
from facetag_cli.exports.face_attributes import relative_box, was_labelled
from facetag_cli.output.results_table import face_text
from facetag_cli.reporter import plural

NAMESPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
}
DIGITS = 6
TOOLKIT = "facetag sidecar"
"""Name of the program in each packet, by which its own sidecars are known again."""


def write_xmp(lines: Iterable[Line], target: Path) -> int:
    """Write NAME.xmp below the folder for each photo with faces; return how many.

    Where a photo was found to have none, as by a review, our earlier sidecar is deleted. Sidecars
    of other programs stay as they are: they hold people's work. If there are any, if one cannot be
    written, or if a name would lie outside the folder, InputInvalid is raised once the others are
    written. Raises OSError for a full disk.
    """
    count = 0
    others: list[Path] = []
    unwritten: list[tuple[Path, OSError]] = []
    for line in lines:
        sidecar = photo_below(target, f"{line['image']}.xmp")
        if not line["faces"]:
            if sidecar is not None and was_labelled(line):
                _remove_own(sidecar)
            continue
        if sidecar is None:
            raise InputInvalid(f"{line['image']} lies outside the folder: label one folder alone.")
        try:
            if sidecar.exists() and not _is_ours(sidecar):
                others.append(sidecar)
                continue
            sidecar.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(sidecar, sidecar_text(line))
        except OSError as error:
            # A closed folder, a name that is too long with `.xmp`, or a file in a folder's place.
            if error.errno in NO_SPACE:
                raise
            unwritten.append((sidecar, error))
        else:
            count += 1
    if others or unwritten:
        raise InputInvalid(_left_out(others, unwritten, count))
    return count


def _remove_own(sidecar: Path) -> None:
    with suppress(OSError):
        if _is_ours(sidecar):
            sidecar.unlink()


def _is_ours(sidecar: Path) -> bool:
    # Reading a pipe would block.
    return sidecar.is_file() and TOOLKIT.encode() in sidecar.read_bytes()


def _left_out(
    others: Sequence[Path], unwritten: Sequence[tuple[Path, OSError]], written: int
) -> str:
    """Return why sidecars were not written, how many were, and what to do."""
    reasons = []
    if others:
        reasons.append(
            f"{plural(len(others), 'sidecar')} of other programs, such as {others[0]}, would be "
            f"replaced and {'was' if len(others) == 1 else 'were'} left alone"
        )
    by_reason = dict[str, list[Path]]()
    for sidecar, error in unwritten:
        by_reason.setdefault(error.strerror or str(error), []).append(sidecar)
    for reason, sidecars in by_reason.items():
        more = f" ({len(sidecars) - 1:,} more like it)" if len(sidecars) > 1 else ""
        reasons.append(f"{sidecars[0]} cannot be written: {reason}{more}")
    too_long = [error for _, error in unwritten if error.errno == errno.ENAMETOOLONG]
    remedies = ["Give those photos shorter names."] if too_long else []
    if others or len(too_long) < len(unwritten):
        remedies.append("Give --output another folder.")
    return (
        f"{'; '.join(reasons)}; {plural(written, 'sidecar')} {'was' if written == 1 else 'were'} "
        f"written. {' '.join(remedies)}"
    )


def sidecar_text(line: Line) -> bytes:
    """Return the XMP packet of a photo with faces."""
    for prefix, uri in NAMESPACES.items():
        ET.register_namespace(prefix, uri)
    root = ET.Element(_name("x:xmpmeta"), {_name("x:xmptk"): TOOLKIT})
    rdf = ET.SubElement(root, _name("rdf:RDF"))
    about = ET.SubElement(rdf, _name("rdf:Description"), {_name("rdf:about"): ""})
    regions = ET.SubElement(about, _name("mwg-rs:Regions"), _RESOURCE)
    size = {"w": line["width"], "h": line["height"], "unit": "pixel"}
    ET.SubElement(regions, _name("mwg-rs:AppliedToDimensions"), _fields("stDim", size))
    held = ET.SubElement(regions, _name("mwg-rs:RegionList"))
    bag = ET.SubElement(held, _name("rdf:Bag"))
    for face in line["faces"]:
        _add_region(bag, line, face)
    packet: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return packet


def _add_region(bag: ET.Element, line: Line, face: dict[str, Any]) -> None:
    x, y, width, height = relative_box(face, line["width"], line["height"])
    # The schema's x and y are the centre of the area.
    area = {"x": x + width / 2, "y": y + height / 2, "w": width, "h": height}
    rounded = {name: round(value, DIGITS) for name, value in area.items()}
    item = ET.SubElement(bag, _name("rdf:li"), _RESOURCE)
    ET.SubElement(item, _name("mwg-rs:Type")).text = "Face"
    reviewed = " (reviewed)" if face.get("reviewed") else ""
    words = f"Apparent: {face_text(face)}{reviewed}"
    ET.SubElement(item, _name("mwg-rs:Description")).text = words
    ET.SubElement(item, _name("mwg-rs:Area"), _fields("stArea", rounded | {"unit": "normalized"}))


def _name(short: str) -> str:
    prefix, _, local = short.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


def _fields(prefix: str, values: dict[str, Any]) -> dict[str, str]:
    return {_name(f"{prefix}:{name}"): str(value) for name, value in values.items()}


_RESOURCE = {_name("rdf:parseType"): "Resource"}
