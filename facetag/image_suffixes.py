"""Which file names are photos to their owners: the one list for folders and for prefixes."""

# Wider than what workers decode: a raw or TIFF file is a photo to its owner, who wants to read
# that it was not labelled rather than find it missing.
_NAMES = """
jpg jpeg jpe jfif jif pjpeg pjp mpo png apng webp gif bmp dib avif avifs heic heics heif heifs hif
tif tiff ico icns cur ppm pgm pbm pnm svg svgz psd psb xcf tga pcx dds eps exr hdr jp2 j2k jpf jpx
jpm jxl jxr wdp raw cr2 cr3 crw nef nrw dng arw sr2 srf orf raf rw2 pef srw x3f 3fr erf kdc mrw
"""

IMAGE_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
"""Lower case, with the dot."""
