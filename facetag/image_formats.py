"""Tell image files by the suffixes of their names and by their first bytes."""

import re

# The list is wider than what workers decode. The owner of a Photoshop file should read that it was
# not labelled, not find it missing.
_NAMES = """
jpg jpeg jpe jfif jif pjpeg pjp mpo png apng webp gif bmp dib avif avifs heic heics heif heifs hif
tif tiff ico icns cur ppm pgm pbm pnm svg svgz psd psb xcf tga pcx dds eps exr hdr jp2 j2k jpf jpx
jpm jxl jxr wdp raw cr2 cr3 crw nef nrw dng arw sr2 srf orf raf rw2 pef srw x3f 3fr erf kdc mrw
"""
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
"""Suffixes that count as photos, in folders and below prefixes; in lower case, with the dot."""

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG\r\n\x1a\n"
RIFF_START = b"RIFF"
GIF_START = b"GIF8"
"""The start of WebP files, and of files that hold sound or video."""
TIFF_STARTS = (b"II*\0", b"MM\0*")
"""The starts of TIFF files and of most raw formats, by their order of bytes."""
BIG_TIFF_STARTS = (b"II+\0", b"MM\0+")
"""The starts of TIFF files with places in 64 bits, by their order of bytes."""
JPEG_XL_CODESTREAM = b"\xff\x0a"
JPEG_XL_STARTS = (JPEG_XL_CODESTREAM, b"\0\0\0\x0cJXL \r\n\x87\n")
"""The starts of bare JPEG XL files, and of those in a container."""
FIRST_BOXES = (b"ftyp", b"JXL ")
"""Bytes 4 to 7 of files of boxes: ISO media files (AVIF, HEIC) and JPEG XL's container."""

TIFF = "TIFF or a raw format"
NAMED_STARTS = {
    "JPEG XL": b"|".join(map(re.escape, JPEG_XL_STARTS)),
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
    TIFF: b"|".join(map(re.escape, (*TIFF_STARTS, *BIG_TIFF_STARTS))),
    "Photoshop (PSD)": rb"8BPS\0[\x01\x02]",
    "GIMP (XCF)": rb"gimp xcf ",
    "OpenEXR": rb"\x76\x2f\x31\x01",
    "Radiance HDR": rb"#\?(RADIANCE|RGBE)\n",
    # Atomic, since a hostile file could otherwise have its comments tried in every combination.
    "SVG": rb"(\xef\xbb\xbf)?(?>\s*(?:<!--.*?-->|<[?!][^>]*>))*+\s*<(svg:)?svg[\s>]",
    "EPS or PostScript": rb"%!PS|\xc5\xd0\xd3\xc6",
    "Apple icons (ICNS)": rb"icns",
    "Windows icons (ICO)": rb"\0\0\x01\0[^\0]\0",
}
"""Patterns of the first bytes by the format's name for people; Pillow names the other formats."""

CONTENT_TYPE = r"^(image/[0-9A-Za-z.+-]{1,64}|application/octet-stream)$"
"""Pattern of the content types with which photos are sent; see `may_hold_script`."""

START_BYTES = 32
"""Bytes of a file that `is_image` looks at."""
_IMAGE = re.compile(
    b"|".join(
        [
            *map(re.escape, (JPEG_START, PNG_START[:6], *TIFF_STARTS, *BIG_TIFF_STARTS)),
            *map(re.escape, JPEG_XL_STARTS),
            re.escape(RIFF_START) + b"....WEBP",
            re.escape(GIF_START) + rb"[79]a",
            rb"BM....\0\0\0\0",
            rb"....ftyp(avif|avis|hei[cxms]|hev[cxms]|mif1|msf1|crx )",
        ]
    ),
    re.DOTALL,
)


def is_image(start: bytes) -> bool:
    """Return whether a file that begins with these bytes is an image, readable here or not."""
    return _IMAGE.match(start) is not None


def may_hold_script(content_type: str) -> bool:
    """Return whether browsers would run a script in a file of this type: SVG, and any XML."""
    # Browsers read every type that ends in +xml as XML.
    return "svg" in content_type.lower() or "xml" in content_type.lower()
