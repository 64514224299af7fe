"""Keep the notes that TensorFlow prints while it is imported out of what commands print.

They come from its C++ parts before any setting of a log level counts. Errors pass.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

NOTE = re.compile(rb"I0000 |WARNING: All log messages before absl::InitializeLog")
STDERR = 2


class QuietImport(MetaPathFinder):
    """Find one package as Python does, and hold back its notes while it is imported."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        """Return the spec of the package with a loader that holds notes back; else None."""
        if fullname != self._package:
            return None
        # Once is enough, and the search below must not end up here.
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        with notes_held_back():
            self._loader.exec_module(module)


@contextmanager
def notes_held_back() -> Iterator[None]:
    """Hold back what the body writes to standard error, and then pass on all but the notes."""
    saved = os.dup(STDERR)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(saved, STDERR)
            os.close(saved)
            held.seek(0)
            for line in held:
                if not NOTE.match(line):
                    os.write(STDERR, line)
