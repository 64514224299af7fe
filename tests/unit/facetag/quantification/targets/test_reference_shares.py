import pytest

from facetag.errors import RequirementInvalid
from facetag.quantification.targets.reference_shares import read_reference

FEMALE = ("gender", "female")


@pytest.mark.parametrize(
    "content",
    [
        b"group,share\nfemale,0.4\n",
        b"\xef\xbb\xbfgroup;share\r\nfemale;0,4\r\n\r\n",
        b"Share;Group;note\n40%;Female;a census\n",
        b"group\tshare\nfemale\t40 %\n",
    ],
)
def test_a_spreadsheet_may_write_it_its_own_way(content):
    assert read_reference(content) == {FEMALE: pytest.approx(0.4)}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no column 'group'"),
        (b"group,share\nfemale,60\n", "Line 2 of the reference: '60' is not a share"),
        (b"group,share\nfemale\n", "Line 2 of the reference: '' is not a share"),
        (b"group,share\nfemale,nan\n", "is not a share"),
        (b"group,share,Group\nfemale,0.4,male\n", "two columns 'group'"),
        (b"share,group\n0.4\n", "Line 2 of the reference: '' is not a group"),
        (b"group,share\nfemale,0.4\nFemale,0.5\n", "Line 3 of the reference: female already has"),
        (b"group,share\nfemale,0.7\nmale,0.7\n", "shares of gender are 1.4 in sum"),
        (b"group,share\nfemale,0.2\nmale,0.2\n", "shares of gender are 0.4 in sum"),
        (b"group,share\nfem\xe4le,0.5\n", "not text in UTF-8"),
        ("group,share\n".encode("utf-16"), "not text in UTF-8"),
        (b"a" * 200_000, "not a CSV file"),
    ],
)
def test_what_is_no_reference_is_refused_with_the_reason(content, said):
    with pytest.raises(RequirementInvalid, match=said):
        read_reference(content)


def test_shares_that_a_table_rounded_and_groups_left_out_are_taken():
    assert len(read_reference(b"group,share\nfemale,51%\nmale,48%\nwhite,0.3\n")) == 3
