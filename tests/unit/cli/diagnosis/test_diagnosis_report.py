from facetag_cli.diagnosis.diagnosis_report import Finding, examine, mask_url, render, secrets_of

ENVIRONMENT = {
    "FACETAG_DATABASE_URL": "postgresql://me:pa55word@host:5432/db",
    "FACETAG_S3_SECRET_KEY": "verysecret",
    "AWS_SESSION_TOKEN": "alsosecret",
    "FACETAG_MIN_FACE": "0.1",
}


def test_no_secret_is_written_wherever_it_turns_up():
    def look():
        yield Finding("url", "postgresql://me:pa55word@host:5432/db?password=pa55word")
        yield Finding("server", "says verysecret", "unknown token alsosecret: ask for pa55word")

    text = render([examine("Servers", look)], secrets_of(ENVIRONMENT))
    for secret in ("pa55word", "verysecret", "alsosecret"):
        assert secret not in text
    assert "postgresql://***@host:5432/db?***" in text


def test_a_url_without_secrets_stays_as_it_is():
    assert mask_url("http://127.0.0.1:8000/x") == "http://127.0.0.1:8000/x"


def test_the_home_folder_is_not_named(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    text = render([examine("Disks", lambda: [Finding("data", "/home/somebody/data")])])
    assert "somebody" not in text
    assert "~/data" in text


def test_all_faults_are_repeated_at_the_end_and_marked():
    findings = [Finding("good", "1"), Finding("bad", "2", "do this.")]
    text = render([examine("Things", lambda: findings)])
    assert "! bad " in text
    assert text.endswith("What is wrong\n- bad: do this.\n")
    assert render([examine("Things", lambda: findings[:1])]).endswith("Nothing is wrong.\n")


def test_a_section_that_fails_keeps_what_it_found_and_says_why():
    def look():
        yield Finding("first", "1")
        raise RuntimeError("no such thing")

    section = examine("Things", look)
    assert section.findings[0] == Finding("first", "1")
    assert section.findings[1].fault == "RuntimeError: no such thing"
