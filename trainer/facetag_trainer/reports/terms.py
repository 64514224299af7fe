"""Write the terms of use of a network: those of its training data and of its starting weights."""

from collections.abc import Mapping, Sequence
from typing import Any

UTKFACE = "UTKFace"
UTKFACE_SHARDS = frozenset(
    {
        "ebc5f2d3d7e7a968e172ada33199c18575ac49e6a2218f3109c0c564e48b6acb",
        "ae7883b15c0dd1ec46a912f7cd341c531f2dbaa643909e2948fe6d4b7e4e5b3b",
        "1935346e4042a975f385a0f0c58ba0e4d19f6e7455b552d89d9719737fda3afc",
        "d3d324d04b844ca4087794c868d5a009cc5c37a7e140157f08cca7277fa2e3fe",
    }
)
"""SHA-256 of the four UTKFace shards that facetag's own networks are fitted on."""

UTKFACE_TERMS = """\
- Fitted on **UTKFace**, which is licensed for non-commercial research only; the photographs belong
  to their owners. Use a network that was fitted on it within those terms.
"""
OWN_TERMS = """\
- facetag does not know the data of {shards}: the terms of your own data apply to a network that
  was fitted on it.
"""
PARENT_TERMS = """\
- Fitted further from the network {parent}: the terms of that network's data apply as well.
"""

NSFWJS_SHA256 = "583a4ae618b8ffba336bfc1d0694b744ddb666ba5766f103b6b5645a81bed12c"
NSFWJS_NOTICE = """\
- The backbone started from InceptionV3 weights of the npm package `nsfwjs` 4.3.0 (ImageNet's own
  for the first 167 layers, the later ones tuned further), used under its licence:

> The MIT License (MIT)
>
> Copyright (c) 2020 Infinite Red, Inc.
>
> Permission is hereby granted, free of charge, to any person obtaining a copy of this software
> and associated documentation files (the "Software"), to deal in the Software without
> restriction, including without limitation the rights to use, copy, modify, merge, publish,
> distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
> Software is furnished to do so, subject to the following conditions:
>
> The above copyright notice and this permission notice shall be included in all copies or
> substantial portions of the Software.
>
> THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING
> BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
> NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
> DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
> OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
"""The licence of the starting weights with this SHA-256, which must be passed on."""


def is_of_utkface(manifest: Mapping[str, Any]) -> bool:
    """Tell whether any training shard is UTKFace's, by its checksum or the manifest's `data`."""
    return manifest.get("data") == UTKFACE or bool(_split(manifest)[0])


def write_terms(manifest: Mapping[str, Any]) -> str:
    """Return the terms of a bundle with this manifest, in Markdown."""
    _, others = _split(manifest)
    parts = [UTKFACE_TERMS] if is_of_utkface(manifest) else []
    if others and manifest.get("data") != UTKFACE:
        parts.append(OWN_TERMS.format(shards=", ".join(f"`{name}`" for name in others)))
    if manifest.get("parent"):
        parts.append(PARENT_TERMS.format(parent=manifest["parent"]))
    parts.append(_origin(manifest))
    return "## Terms\n\n" + "".join(parts).rstrip()


def _split(manifest: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the names of the UTKFace shards, and of the other shards."""
    ours: list[str] = []
    others: list[str] = []
    for shard in manifest["shards"]:
        (ours if shard["sha256"] in UTKFACE_SHARDS else others).append(shard["name"])
    return ours, others


def _origin(manifest: Mapping[str, Any]) -> str:
    start = manifest["training"]["starting_weights"]
    if start is None:
        # A network that is fitted further starts from its parent's weights, named above.
        return "" if manifest.get("parent") else "- The backbone started from random weights."
    if start["sha256"] == NSFWJS_SHA256:
        return NSFWJS_NOTICE
    checksum = f" (SHA-256 `{start['sha256']}`)" if start["sha256"] else ""
    return (
        f"- The backbone started from `{start['file']}`{checksum}: "
        "the terms of that file apply as well."
    )
