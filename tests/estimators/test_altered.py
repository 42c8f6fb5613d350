"""A model file whose checksum was computed anew is loaded and predicts numbers, or is refused in a sentence."""

import inspect
import re
import warnings

import numpy as np
import pytest
from altered_files import alter, altered, other_shapes, rewrite
from sklearn.exceptions import ConvergenceWarning
from small_models import interrupt_at, regressor, table
from stored_models import LABELS, NAMES, X, Y, fitted

import numdl
from numdl.cli import main
from numdl.container import read_container, write_container
from numdl.estimators.common.plain import formula_of, read_plain
from numdl.report import write_page
from numdl.report.summary import read_summary, write_summary


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The file of a model by its name, and rows to ask it about."""
    files = {}

    def file(name):
        if name not in files:
            model, rows = fitted(name)
            files[name] = tmp_path_factory.mktemp("altered") / "model.numdl", rows
            model.save(files[name][0])
        return files[name]

    return file


def outcome(path, rows):
    """What is predicted, "refused", or what is wrong, for both ways of using a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [by_way(rows, lambda: numdl.load(path)), by_way(rows, lambda: formula_of(read_plain(path)[0], std=True))]


def by_way(rows, model):
    try:
        found = model()
    except Exception as error:
        told = isinstance(error, ValueError) and str(error).startswith(("load(", "load:", "read_container("))
        return "refused" if told and "\n" not in str(error) else f"load: {type(error).__name__}: {error}"
    return "refused" if found is None else predicted(lambda: predictions(found, rows))


def predictions(model, rows):
    if getattr(model, "classes_", None) is not None:
        probability = model.predict_proba(rows)
        return [probability, np.asarray(model.classes_)[probability.argmax(axis=1)]]
    if "return_std" in inspect.signature(model.predict).parameters:
        return model.predict(rows, return_std=True)
    return [model.predict(rows)]


def predicted(call):
    try:
        values = call()
    except ArithmeticError as error:
        return "refused" if str(error) == "not finite" else f"predict: {error}"
    except ValueError as error:  # a model may say that it keeps no deviations, or that these rows are far from its own
        known = ("(return_std=True): ", "standard deviations from the rows of the fit")
        return "refused" if any(words in str(error) for words in known) else f"predict: {error}"
    except Exception as error:
        return f"predict: {type(error).__name__}: {error}"
    return values if all(np.isfinite(value).all() for value in values if value.dtype.kind == "f") else "NaN"


def wrong(found, before, against):
    """What is wrong with an outcome, if anything; parts that contradict each other change no prediction."""
    if isinstance(found, str):
        return "" if found == "refused" else found
    same = len(found) == len(before) and all(map(np.array_equal, found, before))
    return "other predictions, although its parts contradict each other" if against and not same else ""


def fuzz(name, stored, target, count, seed):
    source, rows = stored(name)
    rng, told, before = np.random.default_rng(seed), [], outcome(source, rows)
    for i in range(count):
        if i % 5 < 3:
            what, against = alter(source, target, rng)
        else:  # without a new checksum whatever is changed is refused
            what, against = rewrite(source, target, rng, digest=i % 5 == 3), i % 5 == 4
        for found, was in zip(outcome(target, rows), before, strict=True):
            if fault := wrong(found, was, against):
                told.append(f"{i}: {what}: {fault}"[:400])
    return told


@pytest.mark.parametrize("name", ["tikhonov", "resnet"])
def test_some_alterations(name, stored, tmp_path):
    assert fuzz(name, stored, tmp_path / "altered.numdl", 12, 0) == []


@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_many_alterations(name, stored, tmp_path):
    assert fuzz(name, stored, tmp_path / "altered.numdl", 100, 1) == []


@pytest.mark.quick("tikhonov", "kernel", "softmax", "graph", "resnet", "boosted")
@pytest.mark.parametrize("name", NAMES)
def test_arrays_of_other_shapes_change_no_prediction(name, stored, tmp_path):
    """Of each kind of array one: NumPy would stretch a single entry over any axis."""
    source, rows = stored(name)
    arrays, header = read_container(source, kind="model")
    before, told, kinds = outcome(source, rows), [], {re.sub(r"\d+", "#", key): key for key in reversed(arrays)}
    for key in kinds.values():
        for how, other in other_shapes(arrays[key]):
            if other.shape == arrays[key].shape or (key == "filters_/weights" and "column" in how):
                continue  # filters of narrower patches are filters
            write_container(tmp_path / "altered.numdl", arrays | {key: other}, header, kind="model")
            for found, was in zip(outcome(tmp_path / "altered.numdl", rows), before, strict=True):
                if fault := wrong(found, was, True):
                    told.append(f"{key} {arrays[key].shape}, {how}: {fault}"[:300])
    assert told == []


def summaries(folder):
    """Summaries of numbers and of classes."""
    for name, y in (("kernel", Y), ("classes", LABELS)):
        path = folder / f"{name}.summary"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write_summary(fitted(name)[0].summary(X, y), path)
        yield path


@pytest.mark.parametrize("count", [6, pytest.param(120, marks=pytest.mark.thorough)])
def test_altered_summaries_make_a_page_or_are_refused(count, tmp_path):
    rng, told = np.random.default_rng(2), []
    for source in summaries(tmp_path):
        for i in range(count):
            target = tmp_path / "altered.summary"
            what = rewrite(source, target, rng, digest=True) if i % 4 == 3 else alter(source, target, rng, "summary")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    write_page(read_summary(target), tmp_path / "page.html")
                except ValueError:
                    continue
                except Exception as error:
                    told.append(f"{source.name} {i}: {what}: {type(error).__name__}: {error}"[:300])
    assert told == []


@pytest.mark.parametrize("count", [4, pytest.param(100, marks=pytest.mark.thorough)])
def test_altered_checkpoints_go_on_or_are_refused(count, tmp_path):
    x, y = table()
    source, target, told, rng = tmp_path / "fit.checkpoint", tmp_path / "altered", [], np.random.default_rng(3)
    with pytest.warns(ConvergenceWarning, match="Ctrl-C"):
        regressor(n_restarts=2, checkpoint=source).fit(x, y, observe=interrupt_at(2, 3))
    for i in range(count):
        what = rewrite(source, target, rng, digest=True) if i % 4 == 3 else alter(source, target, rng, "checkpoint")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = regressor(n_restarts=2, checkpoint=target).fit(x, y).predict(x[:5])
            except ValueError as error:
                if not str(error).startswith(("checkpoint=", "load", "read_container(")):
                    told.append(f"{i}: {what}: {error}"[:300])
                continue
            except Exception as error:
                told.append(f"{i}: {what}: {type(error).__name__}: {error}"[:300])
                continue
        if not np.isfinite(found).all():
            told.append(f"{i}: {what}: NaN")
    assert told == []


SMALL = ["--width=3", "--depth=1", "--dynamics=plain", "--restarts=1", "--max-iter=3"]
RUNS = {
    "kernel": ["--model=kernel", "--target=price"],
    "features": ["--model=random-features", "--target=price", "--width=20"],
    "resnet": ["--model=resnet", "--target=price", *SMALL],
    "classes": ["--model=linear", "--target=kind", "--drop=price"],
}


def gaps_and_dates(path):
    """A table with a column of each kind that a model file stores."""
    rng, lines = np.random.default_rng(0), ["when,area,city,gap,price,kind"]
    for i in range(60):
        area, city, gap = rng.uniform(20, 120), rng.choice(["Bonn", "Jena"]), "" if i % 9 == 0 else rng.normal()
        price = 3 * area + 50 * (city == "Jena") + rng.normal()
        when = f"2024-{1 + i // 28:02d}-{1 + i % 28:02d} {i % 24:02d}:00"
        lines.append(f"{when},{area},{city},{gap},{price},{'dear' if price > 230 else 'cheap'}")
    path.write_text("\n".join(lines))
    return path


@pytest.mark.thorough
@pytest.mark.parametrize("name", RUNS)
def test_altered_tables_of_models_are_used_or_refused_by_the_command(name, tmp_path, capsys):
    """What a model file stores of the table beside the model."""
    data, run, rng, told = gaps_and_dates(tmp_path / "flats.csv"), tmp_path / "run", np.random.default_rng(4), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = [*RUNS[name], "--missing=impute", "--dates=cyclic", "--quiet", f"--out={run}"]
        assert main(["fit", str(data), *options]) == 0
        arrays, header = read_container(run / "model.numdl", kind="model")
        for i in range(90):
            path = tmp_path / "altered.numdl"
            _, part, what, _ = altered({}, {"extra": header["extra"]}, rng)
            write_container(path, arrays, header | {"extra": {}} | part, kind="model")
            code, said = main(["predict", str(path), str(data)]), capsys.readouterr().err.splitlines()
            if code not in (0, 1) or (code and not said[-1].startswith("Error: ")):
                told.append(f"{i}: {what}: {code} {said[-1:]}")
    assert told == []


def rewritten(source, target, change):
    arrays, header = read_container(source, kind="model")
    change(arrays, header["state"])
    write_container(target, arrays, header, kind="model")
    return target


def of_record(state, *names):
    """The fields of the first record with one of these names."""
    todo = [state]
    while todo:
        one = todo.pop(0)
        if isinstance(one, dict):
            if "$record" in one and one["$record"][0] in names:
                return one["$record"][1]
            todo.extend(one.values())
        elif isinstance(one, list):
            todo.extend(one)
    raise LookupError(names)


def a_huge_width(arrays, state):
    of_record(state, "ResNet")["width"] = 10**12


def a_huge_depth(arrays, state):
    of_record(state, "ResNet")["depth"] = 10**12


def a_shape_without_end(arrays, state):
    state["activation"] = {"$text": [["tanh"], [0, float("inf")], "<U4"]}


def wide_text(arrays, state):
    state["activation"] = {"$text": [["tanh"], [1], "<U999999999"]}


def another_head(arrays, state):
    (name,) = (name for name in arrays if name.endswith("0/head"))
    arrays[name] = np.zeros((1, 9))


def weights_that_are_nan(arrays, state):
    (name,) = (name for name in arrays if name.endswith("0/head"))
    arrays[name] = arrays[name] * np.nan


def one_scale(arrays, state):
    arrays["_scaler/scale"] = arrays["_scaler/scale"][:1]


def no_scaling(arrays, state):
    del state["_scaler"]


def another_type(arrays, state):
    state["dtype"] = "float61"


def another_member(arrays, state):
    state["members_"] = [3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (a_huge_width, r"ResNet.width = 1000000000000, and the whole file holds less"),
        (a_huge_depth, r"ResNet.depth = 1000000000000, and the whole file holds less"),
        (a_shape_without_end, r"\[0, inf\] is no shape of 1 values"),
        (wide_text, "is said to be '<U999999999'"),
        (another_head, r"head \(1, 9\); needed are 2 and \(1, 4\)"),
        (weights_that_are_nan, "weights are not finite numbers"),
        (no_scaling, "_scaler"),
        (another_type, "float61"),
        (another_member, "do not fit together"),
        (one_scale, r"Scaler.scale is \(1,\), needed is \(d\) with d = 2"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(change, words, stored, tmp_path):
    path = rewritten(stored("resnet")[0], tmp_path / "altered.numdl", change)
    with pytest.raises(ValueError, match=words) as error:
        numdl.load(path)
    assert str(error.value).startswith("load") and "\n" not in str(error.value)
    assert words == "float61" or formula_refused(path)


def test_a_parameter_that_is_not_in_the_file_is_told(stored, tmp_path):
    """A file of before may not hold it, so the model has the default, and says so."""
    path = rewritten(stored("tikhonov")[0], tmp_path / "altered.numdl", lambda _, state: state.pop("standardize"))
    with pytest.warns(UserWarning, match=r"does not hold all parameters of TikhonovRegressor; taken is standardize="):
        numdl.load(path)


def formula_refused(path):
    try:
        return formula_of(read_plain(path)[0], std=True) is None
    except ValueError as error:
        return str(error).startswith("load")


def test_another_type_of_a_factor_is_refused_where_it_gives_no_numbers(stored, tmp_path):
    def change(arrays, state):
        name = next(name for name in arrays if name.endswith("/coef_") or name == "coef_")
        arrays[name] = np.full_like(arrays[name], np.inf)

    path = rewritten(stored("tikhonov")[0], tmp_path / "altered.numdl", change)
    with pytest.raises(ValueError, match="not finite"):
        numdl.load(path)
