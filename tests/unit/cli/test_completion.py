import subprocess
import sys


def test_a_shell_completes_commands_and_options(monkeypatch):
    def complete(words, place):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(place))
        monkeypatch.setenv("_FACETAG_COMPLETE", "bash_complete")
        program = "from facetag_cli.main import main; main(prog_name='facetag')"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        return {line.partition(",")[2] for line in done.stdout.splitlines()}

    assert complete("facetag ex", 1) == {"explore", "export"}
    assert complete("facetag export latest --to ", 4) == {
        *("coco", "label-studio", "fiftyone", "hf", "xmp")
    }
