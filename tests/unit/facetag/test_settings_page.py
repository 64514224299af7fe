from pathlib import Path

from facetag.settings import Settings, setting_name
from facetag.settings_page import render_settings

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_page_is_the_one_that_the_settings_give():
    assert PAGE.read_text() == render_settings(), (
        "Run `python -m facetag.settings_page docs/settings.md`."
    )


def test_every_setting_has_a_description_and_an_entry():
    page = render_settings()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"- `{setting_name(name)}`: " in page
    assert all(len(line) <= 100 for line in page.splitlines())


def test_an_entry_gives_the_default_and_the_limits():
    page = " ".join(render_settings().split())
    assert "Default `8000`; at least 0 and at most 65535." in page
    assert "Default `age,gender,race`." in page
    assert "Not set by default." in page
