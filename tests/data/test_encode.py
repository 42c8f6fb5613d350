import json
import unicodedata

import numpy as np
import pytest

from numdl.data import Table, TableEncoder, guess_task, read_table
from numdl.data.table.feature import Feature


def table(**columns):
    return Table(
        tuple(columns), tuple(np.asarray(c, dtype=object if isinstance(c[0], str) else None) for c in columns.values())
    )


KINDS = ["oak", "elm", "oak", "ash", "elm", "oak"]
AGES = np.array([3.0, 1, 4, 1, 5, 9])
BASE = table(age=AGES, kind=KINDS, site=["a"] * 6, key=[f"id{i}" for i in range(6)], price=AGES**2 + 0.5)


def test_numbers_pass_text_becomes_indicators_useless_columns_go():
    encoder = TableEncoder.fit(BASE, ["price"])
    assert encoder.task == "regression" and encoder.target_names == ("price",)
    assert encoder.feature_names == ("age", "kind=ash", "kind=elm", "kind=oak")
    one_hot = [[k == value for value in ("ash", "elm", "oak")] for k in KINDS]
    np.testing.assert_array_equal(encoder.transform(BASE), np.column_stack([AGES, one_hot]))
    np.testing.assert_array_equal(encoder.targets(BASE), (AGES**2 + 0.5)[:, None])
    assert encoder.notes == [
        "Column 'site' is dropped: it is constant.",
        "Column 'key' is dropped: it is text that is different in every row.",
    ]


def test_prediction_needs_only_the_used_columns_in_any_order():
    encoder = TableEncoder.fit(BASE, "price")
    new = table(kind=["elm", "yew"], more=[1.0, 2.0], age=[7.0, 8.0])
    np.testing.assert_array_equal(encoder.transform(new), [[7, 0, 1, 0], [8, 0, 0, 0]])
    with pytest.raises(ValueError, match=r"no column 'kind'.* needs the columns age, kind; 1 of them are absent"):
        encoder.transform(table(age=[7.0]))
    with pytest.raises(ValueError, match=r"no column 'age'; did you mean 'Age'\?"):
        encoder.transform(table(Age=[7.0], kind=["oak"]))
    with pytest.raises(ValueError, match="no column 'price'"):
        encoder.targets(new)


@pytest.mark.parametrize("through_file", [False, True])
def test_json_round_trip(through_file):
    rng = np.random.default_rng(0)
    many = [f"v{j:02d}" for j in np.minimum(rng.geometric(0.04, 900), 80)]
    data = table(x=rng.normal(size=900), many=many, y=rng.normal(size=900))
    encoder = TableEncoder.fit(data, "y")
    content = encoder.to_json()
    again = TableEncoder.from_json(json.loads(json.dumps(content)) if through_file else content)
    assert again == encoder
    np.testing.assert_array_equal(again.transform(data), encoder.transform(data))


def test_many_values_share_a_column():
    values = ["big"] * 30 + [f"v{j:02d}" for j in range(48) for _ in range(3)] + [f"r{j:02d}" for j in range(20)]
    data = table(v=values, y=np.arange(len(values)) + 0.5)
    encoder = TableEncoder.fit(data, "y")
    x = encoder.transform(data)
    assert x.shape == (len(values), 50) and encoder.feature_names[-1] == "v=(rare)"
    assert np.all(x.sum(axis=1) == 1) and x[:, -1].sum() == 20
    new = encoder.transform(table(v=["r07", "never", "v10"]))
    assert new[0, -1] == 1 and not new[1].any() and encoder.feature_names[new[2].argmax()] == "v=v10"


def test_same_columns_as_scikit_learn():
    from sklearn.preprocessing import OneHotEncoder

    rng = np.random.default_rng(1)
    values = np.array([f"v{j}" for j in np.minimum(rng.geometric(0.03, 2000), 120)], dtype=object)
    data = table(v=values, y=rng.normal(size=2000))
    oracle = OneHotEncoder(handle_unknown="ignore", max_categories=50, sparse_output=False).fit_transform(
        values[:, None]
    )
    np.testing.assert_array_equal(TableEncoder.fit(data, "y").transform(data), oracle)


@pytest.mark.parametrize("gap", [None, "", "NA", "NaN", "nan", "null", "NULL"])
def test_missing_text_is_refused(gap):
    data = table(kind=np.array(["oak", "elm", gap, "oak", gap], dtype=object), y=np.arange(5.0))
    with pytest.raises(ValueError, match=r"column 'kind', row 3 is missing \(2 of 5 values"):
        TableEncoder.fit(data, "y")
    fitted = TableEncoder.fit(table(kind=["oak", "elm", "oak"], y=np.arange(3.0)), "y")
    with pytest.raises(ValueError, match=r"transform: column 'kind', row 3 is missing"):
        fitted.transform(data)


@pytest.mark.parametrize(("bad", "says"), [(np.nan, "is missing"), (np.inf, "is infinite"), (-np.inf, "is infinite")])
def test_missing_or_infinite_numbers_are_refused(bad, says):
    x = np.array([1.0, 2, 3, bad])
    with pytest.raises(ValueError, match=rf"column 'x', row 4 {says} \(1 of 4"):
        TableEncoder.fit(table(x=x, y=np.arange(4.0)), "y")
    with pytest.raises(ValueError, match=rf"column 'y', row 4 {says}"):
        TableEncoder.fit(table(x=np.arange(4.0), y=x), "y")
    fitted = TableEncoder.fit(table(x=np.arange(4.0), y=np.arange(4.0)), "y")
    with pytest.raises(ValueError, match=rf"column 'x', row 4 {says}"):
        fitted.transform(table(x=x))
    with pytest.raises(ValueError, match=rf"column 'y', row 4 {says}"):
        fitted.targets(table(y=x))


def test_text_among_numbers_is_refused_from_a_file(tmp_path):
    rows = [f"{i},{i * 0.5}" for i in range(1, 31)]
    rows[16] = "off,8.5"
    (tmp_path / "a.csv").write_text("\n".join(["a,y", *rows]))
    data = read_table(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="column 'a', row 17: 'off' is not a number"):
        TableEncoder.fit(data, "y")
    with pytest.raises(ValueError, match="column 'a', row 17: 'off' is not a number"):
        TableEncoder.fit(data, "a", task="regression")
    fitted = TableEncoder.fit(table(a=np.arange(3.0), y=np.arange(3.0)), "y")
    with pytest.raises(ValueError, match=r"transform: column 'a', row 17: 'off' is not a number"):
        fitted.transform(data)


def test_text_that_is_all_numbers_counts_as_numbers():
    encoder = TableEncoder.fit(table(a=["1", "2.5", "-1e3"], y=np.arange(3.0)), "y")
    assert encoder.feature_names == ("a",)
    assert encoder.transform(table(a=["4", "5"])).tolist() == [[4], [5]]
    assert encoder.transform(table(a=[4.0])).tolist() == [[4]]
    with pytest.raises(ValueError, match="row 1: '1_000' is not a number"):
        encoder.transform(table(a=["1_000"]))
    with pytest.raises(ValueError, match="row 2 is infinite"):
        encoder.transform(table(a=["1", "inf"]))


def test_categories_that_look_like_numbers_at_prediction(tmp_path):
    encoder = TableEncoder.fit(table(zip=["007", "x", "12", "x", "y", "007"], y=np.arange(6.0)), "y")
    assert encoder.text_columns == ("zip",)
    np.testing.assert_array_equal(encoder.transform(table(zip=[12.0])), encoder.transform(table(zip=["12"])))
    (tmp_path / "new.csv").write_text("zip,u\n007,1\n")
    new = read_table(tmp_path / "new.csv", text=encoder.text_columns)
    assert encoder.feature_names[encoder.transform(new)[0].argmax()] == "zip=007"


def test_classification_targets():
    words = TableEncoder.fit(BASE, "kind")
    assert words.task == "classification" and words.targets(BASE).tolist() == KINDS and words.text_columns == ("kind",)
    digits = table(x=np.arange(40.0), label=np.arange(40) % 3)
    whole = TableEncoder.fit(digits, "label")
    assert whole.task == "classification" and whole.targets(digits).dtype == np.int64
    assert TableEncoder.fit(digits, "label", task="regression").targets(digits).shape == (40, 1)


def test_several_targets():
    data = table(x=AGES, u=AGES * 2, v=[1.0, 0, 1, 0, 1, 0])
    encoder = TableEncoder.fit(data, ["v", "u"])
    assert encoder.task == "regression" and encoder.feature_names == ("x",)
    np.testing.assert_array_equal(encoder.targets(data), np.column_stack([data.column("v"), data.column("u")]))
    with pytest.raises(ValueError, match="2 target columns; classify one target"):
        TableEncoder.fit(data, ["v", "u"], task="classification")


@pytest.mark.parametrize(
    ("target", "task", "says"),
    [
        ("prise", "auto", r"no column 'prise'; did you mean 'price'\?"),
        ([], "auto", "give one or several different column names"),
        (["price", "price"], "auto", "different column names"),
        ("price", "cluster", "'auto', 'regression' or 'classification'"),
        ("kind", "regression", r"target 'kind' is text \(row 1 holds 'oak'\)"),
        ("price", "classification", r"row 1 holds 9\.5; use task='regression'"),
        ("site", "auto", "every row of target 'site' holds a \\(6 in all\\), so there is nothing to learn"),
    ],
)
def test_targets_refused(target, task, says):
    with pytest.raises(ValueError, match=says):
        TableEncoder.fit(BASE, target, task=task)


def test_constant_target_and_nothing_to_learn_from():
    with pytest.raises(ValueError, match=r"every row of target 'y' holds 2\.5 \(3 in all\), so there is nothing"):
        TableEncoder.fit(table(x=np.arange(3.0), y=[2.5] * 3), "y")
    with pytest.raises(ValueError, match=r"no column is left to learn from\. Column 'x' is dropped: it is constant\."):
        TableEncoder.fit(table(x=[1.0] * 3, y=np.arange(3.0)), "y")
    with pytest.raises(ValueError, match="no column is left"):
        TableEncoder.fit(table(y=np.arange(3.0)), "y")


def test_json_of_another_version_or_incomplete():
    content = TableEncoder.fit(BASE, "price").to_json()
    with pytest.raises(ValueError, match="format 99"):
        TableEncoder.from_json(content | {"format": 99})
    del content["features"]
    with pytest.raises(ValueError, match="not complete"):
        TableEncoder.from_json(content)


@pytest.mark.parametrize(
    ("column", "task"),
    [
        (np.array(["a", "b"], dtype=object), "classification"),
        (np.array([True, False]), "classification"),
        (np.arange(50) % 5, "classification"),
        (np.arange(49) % 5, "regression"),
        (np.arange(210) % 21, "regression"),
        (np.arange(200) % 20, "classification"),
        (np.arange(50) % 5 + 0.5, "regression"),
        (np.array(["1", "2", "3"], dtype=object), "regression"),
        (np.linspace(0, 1, 100), "regression"),
    ],
)
def test_guess_task(column, task):
    assert guess_task(column) == task


def test_text_different_in_most_rows_is_no_classification():
    names = [f"sample {i}" for i in range(51)]
    data = table(x=np.arange(60.0), name=names + ["a"] * 9)
    for task in ("auto", "classification"):
        with pytest.raises(ValueError, match="text with 52 different values, 51 of which occur once"):
            TableEncoder.fit(data, "name", task)
    few = table(x=np.arange(60.0), name=names[:50] + ["a"] * 10)
    assert TableEncoder.fit(few, "name").task == "classification"


def test_what_names_rows_is_left_out_with_a_true_note(tmp_path):
    (tmp_path / "a.csv").write_text(
        ",serial,day,x,y\n" + "".join(f"{i},{2**60 + i},2024-05-{i + 1:02d},{i * i},{i}.5\n" for i in range(20))
    )
    encoder = TableEncoder.fit(read_table(tmp_path / "a.csv"), "y")
    assert encoder.feature_names == ("x",)
    assert [note.split(":")[0] for note in encoder.notes] == [
        f"Column {name!r} is dropped" for name in ("column0", "serial", "day")
    ]
    assert "counts the rows" in encoder.notes[0] and "beyond 2^53" in encoder.notes[1] and "dates" in encoder.notes[2]


@pytest.mark.parametrize("through_file", [False, True])
def test_missing_entries_filled(through_file):
    x = np.array([1.0, np.nan, 3, 5, 100])
    kind = np.array(["oak", "elm", None, "oak", "elm"], dtype=object)
    data = Table(("x", "kind", "y"), (x, kind, np.arange(5.0)))
    encoder = TableEncoder.fit(data, "y", missing="impute")
    if through_file:
        encoder = TableEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert encoder.feature_names == ("x", "x missing", "kind=elm", "kind=oak", "kind missing")
    new = encoder.transform(Table(("x", "kind"), (np.array([np.nan, 2]), np.array(["oak", "?"], dtype=object))))
    np.testing.assert_array_equal(new, [[4, 1, 0, 1, 0], [2, 0, 1, 0, 1]])  # the median of 1, 3, 5, 100, and elm


def test_a_fill_of_zero_is_stored():
    data = Table(("flag", "y"), (np.array([0.0, 0, 0, 1, np.nan]), np.arange(5.0)))
    encoder = TableEncoder.fit(data, "y", missing="impute")
    again = TableEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    np.testing.assert_array_equal(again.transform(data), encoder.transform(data))
    np.testing.assert_array_equal(again.transform(data)[-1], [0, 1])


def test_filled_as_scikit_learn_fills():
    from sklearn.impute import SimpleImputer

    x = np.random.default_rng(0).normal(size=200)
    x[::7] = np.nan
    data = table(x=x, y=np.arange(200.0))
    expected = SimpleImputer(strategy="median", add_indicator=True).fit_transform(x[:, None])
    np.testing.assert_array_equal(TableEncoder.fit(data, "y", missing="impute").transform(data), expected)


def test_dates_as_numbers():
    words = ["2024-05-31 00:00", "2024-06-01 06:00", "2024-06-02 12:00"]
    data = table(t=words, y=[1.0, 2.0, 4.0])
    elapsed = TableEncoder.fit(data, "y", dates="elapsed")
    np.testing.assert_allclose(elapsed.transform(data)[:, 0], [0, 1.25, 2.5])
    cyclic = TableEncoder.from_json(json.loads(json.dumps(TableEncoder.fit(data, "y", dates="cyclic").to_json())))
    assert cyclic.feature_names == ("t sin(day)", "t cos(day)", "t sin(year)", "t cos(year)")
    np.testing.assert_allclose(cyclic.transform(data)[:, :2], [[0, 1], [1, 0], [0, -1]], atol=1e-9)
    german = table(t=["31.05.2024 0:00", "01.06.2024 06:00", "2.6.2024 12:00"])
    np.testing.assert_allclose(elapsed.transform(german)[:, 0], [0, 1.25, 2.5])
    with pytest.raises(ValueError, match="cannot be told whether '3/4/2024' begins with the day or the month"):
        TableEncoder.fit(table(t=["3/4/2024", "5/6/2024"], y=[1.0, 2.0]), "y", dates="elapsed")
    american = TableEncoder.fit(table(t=["3/4/2024", "5/16/2024"], y=[1.0, 2.0]), "y", dates="elapsed")
    assert american.transform(table(t=["3/5/2024"]))[0, 0] == 1


def test_another_unit_is_refused():
    data = Table(("x", "y"), (np.arange(3.0), np.arange(3.0)), (), {"x": "mm"})
    encoder = TableEncoder.fit(data, "y")
    with pytest.raises(ValueError, match="column 'x' has the unit cm here and had mm in training"):
        encoder.transform(Table(("x",), (np.arange(3.0),), (), {"x": "cm"}))


def test_an_encoder_stored_with_decomposed_words_encodes_composed_ones(tmp_path):
    """Files of before hold categories as the system wrote them; those of tables are composed (NFC)."""
    kinds = ["gro\u0308\u00dfer", "k", "u\u0308ber", "gro\u0308\u00dfer"] * 3
    data = Table(("kind", "y"), (np.array(kinds, dtype=object), np.arange(12.0)))
    encoder = TableEncoder.fit(data, "y", missing="impute")
    before = unicodedata.normalize("NFD", json.dumps(encoder.to_json(), ensure_ascii=False))
    assert before.count("o\u0308") == 2  # among the categories, and what stands in for a missing one
    again = TableEncoder.from_json(json.loads(before))
    assert again == encoder
    for form in ("NFC", "NFD"):
        path = tmp_path / f"{form}.csv"
        path.write_text(unicodedata.normalize(form, "\n".join(["kind", *kinds])), encoding="utf-8")
        new = read_table(path, text=again.text_columns)
        np.testing.assert_array_equal(again.transform(new), encoder.transform(data))
        assert again.unseen(new) == []
    # a model that learned both forms as two categories keeps its number of columns
    two = Feature.from_json({"name": "kind", "kind": "text", "common": ["o\u0308", "\u00f6"], "rare": []})
    assert two.encode("here", Table(("kind",), (np.array(["\u00f6"]),))).tolist() == [[0, 1]]


def words(*entries):
    return np.array(entries, dtype=object)


def test_new_rows_whose_columns_are_of_another_kind():
    """A column of numbers without an entry, and dates as numbers, ended in an AttributeError or a TypeError."""
    table = Table(
        ("a", "b", "d", "y"),
        (
            words("1", "2", None, "4"),
            words("u", None, "v", "u"),
            words("2024-01-01", None, "2024-01-03", "2024-01-04"),
            np.arange(4.0),
        ),
    )
    encoder = TableEncoder.fit(table, "y", missing="impute", dates="elapsed")
    names = ("a", "b", "d")
    empty = encoder.transform(Table(names, (words(None), words(None), words(None))))
    assert empty[0, encoder.feature_names.index("a")] == 2 and empty[0, encoder.feature_names.index("a missing")] == 1
    with pytest.raises(ValueError, match="column 'd', row 2: '45000' is no date that is understood"):
        encoder.transform(Table(names, (words("1", None), words("u", "v"), np.array([np.nan, 45000.0]))))
    with pytest.raises(ValueError, match="column 'a', row 1: 'abc' is not a number"):
        encoder.transform(Table(names, (words("abc", None), words("u", "v"), words(None, None))))
    plain = TableEncoder.fit(Table(("d", "y"), (table.columns[2][[0, 2, 3]], np.arange(3.0))), "y", dates="elapsed")
    with pytest.raises(ValueError, match="column 'd', row 1: '45000' is no date that is understood"):
        plain.transform(Table(("d",), (np.array([45000.0]),)))
    codes = TableEncoder.fit(Table(("s", "y"), (words("1", "2", None, "x"), np.arange(4.0))), "y", missing="impute")
    with pytest.raises(ValueError, match="column 's', row 2 is infinite"):
        codes.transform(Table(("s",), (np.array([np.nan, np.inf]),)))
