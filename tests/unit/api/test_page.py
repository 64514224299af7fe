import re


def test_the_page_uses_nothing_of_other_hosts(client):
    for path in ("/", "/page.css", "/page.js"):
        answer = client.get(path)
        assert answer.status_code == 200
        urls = re.findall(r"(?:https?:)?//[a-z][\w.]+", answer.text)
        assert [url for url in urls if "www.w3.org" not in url] == []


def test_the_policy_allows_its_own_files_alone(client):
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=", answer.text)


def test_the_page_says_what_apparent_means(client):
    text = re.sub(r"\s+", " ", client.get("/").text)
    assert "no fact about the person" in text


def test_every_element_that_the_script_looks_for_is_there(client):
    page = client.get("/").text
    wanted = set(re.findall(r'find\("(\w+)"\)', client.get("/page.js").text))
    assert wanted
    assert wanted <= set(re.findall(r'id="(\w+)"', page))
