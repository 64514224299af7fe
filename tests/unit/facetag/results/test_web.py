import re
from importlib.resources import files

from facetag.results import web


def test_each_module_is_listed_after_those_that_it_imports():
    seen = set()
    for name in web.REPORT_SCRIPTS:
        imported = set(re.findall(r'from "\./([\w.]+)"', web.read_part(name)))
        assert imported <= seen, name
        seen.add(name)
    assert seen == {path.name for path in files(web).iterdir() if path.name.endswith(".js")}


def test_one_script_imports_and_exports_nothing_and_holds_every_module():
    text = web.inline_modules()
    assert not re.search(r"^\s*(import|export)\b", text, re.MULTILINE)
    assert "const { make, grouped, plural, percent } = elements;" in text
    assert re.search(r"^const gallery = .*return \{ showGallery \};\n\}\)\(\);$", text, re.M | re.S)
