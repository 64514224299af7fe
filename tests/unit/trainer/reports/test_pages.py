from facetag_trainer.reports.pages import render_template


def test_values_are_escaped_and_filters_apply(tmp_path):
    (tmp_path / "page.html.jinja").write_text("<p>{{ name }} {{ share | percent }}</p>")
    filters = {"percent": lambda share: f"{share:.0%}"}
    page = render_template(
        "page.html.jinja", folder=tmp_path, filters=filters, name="<b>", share=0.25
    )
    assert page == "<p>&lt;b&gt; 25%</p>"
