import numpy as np
import pytest

from numdl.data import TableEncoder, read_table


def read(tmp_path, content, name="a.csv", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, **options)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "a,b\n1,2\n3,4.5\n"),
        ("a.csv", "a;b\n1;2\n3;4.5\n"),
        ("a.csv", "a;b\n1;2\n3;4,5\n"),
        ("a.csv", "a\tb\n1\t2\n3\t4.5"),
        ("a.tsv", "a\tb\r\n1\t2\r\n3\t4.5\r\n"),
        ("a.csv", "\ufeffa, b\n1, 2\n\n3, 4.5\n\n"),
        ("a.csv", '"a","b"\n"1","2"\n"3","4.5"\n'),
        ("a.txt", "  a   b\n 1.0   2\n3   4.50   \n"),
        ("a.dat", "# a b\n1 2\n3 4.5\n"),
        ("a.data", "# made somewhere\n#\n# a b\n1\t 2\n3 \t4.5\n"),
        ("a.csv", "\n# from the lab\na,b\n1,2\n3,4.5\n"),
        ("A.CSV", "a,b\n1,2\n3,4.5\n"),
    ],
)
def test_layouts(tmp_path, name, content):
    table = read(tmp_path, content, name)
    assert table.names == ("a", "b")
    np.testing.assert_array_equal(np.column_stack(table.columns), [[1, 2], [3, 4.5]])


def test_few_control_characters_are_text(tmp_path):
    """Downloads have 0x19 for an apostrophe, and DOS ends a file by 0x1a: both were refused as binary."""
    rows = "".join(f"clinic {i},{i}.5\n" for i in range(20))
    table = read(tmp_path, f"name,cost\nchildren\x19s,2.5\n{rows}\x1a\r\n")
    assert table.columns[0][0] == "children\x19s" and table.n == 21 and list(table.columns[1][:2]) == [2.5, 0.5]
    (note,) = table.notes
    assert note.startswith("Line 2 holds the byte 0x19, which is no printed character: read as part of")
    with pytest.raises(ValueError, match=r"column 'cost', row 1: '2\\x1a.5' is not a number"):
        TableEncoder.fit(read(tmp_path, f"name,cost\nchildren,2\x1a.5\n{rows}"), "name")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "1,2\n3,-4e1\n"), ("a.txt", "\t1.0 \t2\n3   -40\n"), ("a.csv", "1;2,0\n3;-4,0e1\n")],
)
def test_no_header(tmp_path, name, content):
    table = read(tmp_path, content, name)
    assert table.names == ("column0", "column1")
    np.testing.assert_array_equal(np.column_stack(table.columns), [[1, 2], [3, -40]])


def test_one_column_and_unnamed_column(tmp_path):
    assert read(tmp_path, "a\n1\n2\n").column("a").tolist() == [1, 2]
    assert read(tmp_path, ",a\n0,1\n1,2\n").names == ("column0", "a")


def test_comment_line_of_names_with_text_in_the_data(tmp_path):
    table = read(tmp_path, "#id,kind\n1,oak\n2,elm\n")
    assert table.names == ("id", "kind") and table.n == 2


def test_text_numbers_and_missing(tmp_path):
    rows = ["n,t,b,d,e", "1, oak ,true,2020-01-01,", ',"elm, tall",false,2020-01-02,', "NaN,NA,,null,", "4,x,true,,"]
    table = read(tmp_path, "\n".join(rows))
    np.testing.assert_array_equal(table.column("n"), [1, np.nan, np.nan, 4])
    assert table.column("t").tolist() == ["oak", "elm, tall", None, "x"]
    np.testing.assert_array_equal(table.column("b"), [1, 0, np.nan, 1])
    assert table.column("d").tolist() == ["2020-01-01", "2020-01-02", None, None]
    assert table.column("e").tolist() == [None] * 4


def test_text_on_request(tmp_path):
    assert read(tmp_path, "zip,x\n007,1\n010,2\n", text=["zip", "other"]).column("zip").tolist() == ["007", "010"]


def test_text_far_below_many_numbers(tmp_path):
    # beyond the first block of the reader, whose types are then revised
    table = read(tmp_path, "a,b\n" + "1,2\n" * 300_000 + "off,2.5\n")
    assert table.n == 300_001 and table.column("a")[-1] == "off" and table.column("b")[-1] == 2.5


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_ragged_row_is_named(tmp_path, name):
    content = "# c\na,b\n" + "1,2\n" * 6 + "\n3\n4,5\n"
    content = content.replace(",", " ") if name == "a.txt" else content
    with pytest.raises(ValueError, match=r"data row 7 has 1 fields where 2 are expected \('3'\)"):
        read(tmp_path, content, name)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,b\n", "a header but no rows"),
        ("#a,b\n", "a header but no rows"),
        ("\n \n", "only blank lines"),
        ('a,b\n1,x\n2,"y\n3,z\n', "line 3 opens a quote that is never closed"),
        (
            'a,b\n1,"x\n2,y\n3,"z\n4,t\n',
            "line 2 opens a quote that is never closed .the next one, in line 4",
        ),
        (b"a,b\n1,2\n\x00\x00,2\n", "holds zero bytes"),
        (b"a,b\n1,2\n\x01\x02,2\n", "line 3 holds the byte 0x01, so the file is not text"),
        (b"a,b\n1,\xe4\n2,\x81\n", "line 3 is text neither in UTF-8 nor in Windows-1252"),
        ("1.5,1.5,x\n1,2,y\n", "may hold names or values; say which with --header or --no-header"),
        ("0,1,2\n1.5,2,3\n", "may hold names or values"),
        ("a,b,a\n1,2,3\n", "occur more than once"),
    ],
)
def test_refuses(tmp_path, content, says):
    with pytest.raises(ValueError, match=says) as error:
        read(tmp_path, content)
    assert "\n" not in str(error.value)


def test_quoted_line_break_is_no_unclosed_quote(tmp_path):
    assert read(tmp_path, 'a,b\n1,x\n2,"y\nz"\n').column("b").tolist() == ["x", "y\nz"]


def test_quotes_within_fields_are_letters(tmp_path):
    table = read(tmp_path, 'pipe,d\n5" steel,1\n6" iron,2\n"8"" lead",3\n"",4\n')
    assert table.column("pipe").tolist() == ['5" steel', '6" iron', '8" lead', None]


def test_header_on_request(tmp_path):
    content = "2019,2020,2021\n1.5,2,3\n"
    assert read(tmp_path, content, header=True).names == ("2019", "2020", "2021")
    assert read(tmp_path, content, header=False).column("column0").tolist() == [2019, 1.5]


def test_row_cut_off_at_the_end_is_no_footer(tmp_path):
    for last in ("3", "elm", "3.5,"):
        with pytest.raises(ValueError, match="data row 3 has"):
            read(tmp_path, f"a,b,c\n1,2,x\n2,3,y\n{last}\n")


def test_further_missing_words(tmp_path):
    table = read(tmp_path, "a,b\n-999,off\n2,1.5\n3,2.5\n", na=["-999", "off"])
    np.testing.assert_array_equal(table.column("a"), [np.nan, 2, 3])
    assert table.column("b").tolist() == [None, "1.5", "2.5"]


def test_many_columns(tmp_path):
    """Time is linear in the number of columns: 2000 took 27 seconds."""
    names = [f"channel{i}" for i in range(10_000)]
    table = read(tmp_path, "\n".join([",".join(names), *[",".join(["1"] * len(names))] * 2]))
    assert len(table.names) == 10_000 and table.column("channel9999").tolist() == [1, 1]


def test_line_that_shows_the_encoding_may_end_in_blanks_of_it(tmp_path):
    table = read(tmp_path, b"a,b\n1,2\n\xa03,4\n")
    assert table.column("a").tolist() == [1, 3] and "line 3 is not UTF-8" in table.notes[0]


def test_first_rows_that_begin_like_comments_stay(tmp_path):
    """Vectors of words begin with the words ! and //; ten rows of eleven were read."""
    words = ["!", "//", *(f"w{i}" for i in range(9))]
    content = "".join(f"{word} {i}.25 {i}.5\n" for i, word in enumerate(words))
    for name, sign in (("a.txt", " "), ("a.tsv", "\t")):
        table = read(tmp_path, content.replace(" ", sign), name, header=False)
        assert table.columns[0].tolist() == words
        np.testing.assert_array_equal(table.columns[1], np.arange(11) + 0.25)


def test_a_row_of_words_below_numbers_is_no_row_of_units(tmp_path):
    for last in ("0.9,0.8", "0.9,0.8\n0.7,0.6\n0.5,0.4"):
        table = read(tmp_path, f"1.0,2.0\nerror,error\n{last}\n")
        assert table.names == ("column0", "column1")
        assert table.n == 3 + last.count("\n")
