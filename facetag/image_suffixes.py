"""List the file name suffixes that count as photos, in folders and below prefixes."""

# The list is wider than what workers decode. The owner of a Photoshop file should read that it was
# not labelled, not find it missing.
_NAMES = """
jpg jpeg jpe jfif jif pjpeg pjp mpo png apng webp gif bmp dib avif avifs heic heics heif heifs hif
tif tiff ico icns cur ppm pgm pbm pnm svg svgz psd psb xcf tga pcx dds eps exr hdr jp2 j2k jpf jpx
jpm jxl jxr wdp raw cr2 cr3 crw nef nrw dng arw sr2 srf orf raf rw2 pef srw x3f 3fr erf kdc mrw
"""

IMAGE_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
"""Suffixes in lower case, with the dot."""
