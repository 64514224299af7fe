"""Name the format of an image file for people, so that its owner can convert what is refused."""

import re

TIFF = "TIFF or a raw format"
_STARTS = {
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
    "JPEG 2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "JPEG XR": rb"II\xbc\x01",
    "Canon raw (CR2)": rb"II\*\0.{4}CR\x02\0",
    "Canon raw (CR3)": rb"....ftypcrx ",
    "Canon raw (CRW)": rb"II.{4}HEAPCCDR",
    "Fujifilm raw (RAF)": rb"FUJIFILMCCD-RAW",
    "Olympus raw (ORF)": rb"IIR[OS]|MMOR",
    "Panasonic raw (RW2)": rb"IIU\0",
    "Sigma raw (X3F)": rb"FOVb",
    "Minolta raw (MRW)": rb"\0MRM",
    TIFF: rb"II\*\0|MM\0\*|II\+\0|MM\0\+",
    "Photoshop (PSD)": rb"8BPS\0[\x01\x02]",
    "GIMP (XCF)": rb"gimp xcf ",
    "OpenEXR": rb"\x76\x2f\x31\x01",
    "Radiance HDR": rb"#\?(RADIANCE|RGBE)\n",
    "SVG": rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]",
}
_PATTERNS = {name: re.compile(start, re.DOTALL) for name, start in _STARTS.items()}
_LOOKED_AT = 4096
_OF_PILLOW = {"TIFF": TIFF, "JPEG2000": "JPEG 2000", "PSD": "Photoshop (PSD)"}


def name_format(data: bytes, opened_as: str | None = None) -> str | None:
    """Return the name of a file's format for people, or None if this is no known image format.

    `opened_as` is Pillow's name of the format, if Pillow opened the file.
    """
    start = data[:_LOOKED_AT]
    for name, pattern in _PATTERNS.items():
        if pattern.match(start):
            return name
    return None if opened_as is None else _OF_PILLOW.get(opened_as, opened_as)


def decodable_formats() -> set[str]:
    """Return the names, Pillow's but for RAW, of the formats that can be decoded here."""
    from PIL import Image

    Image.init()
    return {*Image.OPEN, "HEIF", "JXL", "RAW"}
