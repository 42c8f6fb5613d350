"""A model file whose checksum was computed anew is loaded and predicts numbers, or is refused in a sentence."""

import warnings

import numpy as np
import pytest
from altered_files import alter

import numdl
from numdl.container import read_container, write_container
from numdl.estimators.common.plain import formula_of, read_plain

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 2))
Y = np.sin(X[:, 0]) + 0.3 * X[:, 1] + 0.05 * RNG.normal(size=24)
MODELS = {
    "tikhonov": lambda: numdl.TikhonovRegressor(standardize=True).fit(X, Y),
    "kernel": lambda: numdl.KernelRegressor(random_state=0).fit(X, Y),
    "auto": lambda: numdl.AutoRegressor(random_state=0, time_budget=1.0).fit(X, Y),
    "classes": lambda: numdl.AutoClassifier(random_state=0, time_budget=1.0).fit(X, np.where(Y > 0, "up", "down")),
    "resnet": lambda: numdl.ResNetRegressor(
        width=3, depth=2, n_restarts=2, max_iter=4, random_state=0, dynamics="plain"
    ).fit(X, Y),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    files = {}

    def file(name):
        if name not in files:
            files[name] = tmp_path_factory.mktemp("altered") / f"{name}.numdl"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                MODELS[name]().save(files[name])
        return files[name]

    return file


def outcome(path):
    """ "predicts", "refused", or what is wrong, for both ways of using a file."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = numdl.load(path)
        except ValueError as error:
            message = str(error)
            found.append("refused" if message.startswith(("load(", "load:")) else f"load: {message}")
        except Exception as error:
            found.append(f"load: {type(error).__name__}: {error}")
        else:
            found.append(predicted(lambda: predictions(model)))
        try:
            formula = formula_of(read_plain(path)[0], std=True)
        except ValueError as error:
            message = str(error)
            found.append("refused" if message.startswith(("load(", "load:")) else f"plain: {message}")
        except Exception as error:
            found.append(f"plain: {type(error).__name__}: {error}")
        else:
            found.append("refused" if formula is None else predicted(lambda: predictions(formula)))
    return found


def predictions(model):
    if getattr(model, "classes_", None) is not None:
        model.classes_[model.predict_proba(X[:5]).argmax(axis=1)]
        return [model.predict_proba(X[:5])]
    return model.predict(X[:5], return_std=True)


def predicted(call):
    try:
        values = call()
    except ArithmeticError as error:
        return "refused" if str(error) == "not finite" else f"predict: {error}"
    except ValueError as error:  # a model may say that it keeps no deviations
        return "refused" if "(return_std=True): " in str(error) else f"predict: {error}"
    except Exception as error:
        return f"predict: {type(error).__name__}: {error}"
    return "predicts" if all(np.isfinite(value).all() for value in values) else "NaN"


def fuzz(name, stored, target, count, seed):
    rng, wrong = np.random.default_rng(seed), []
    for i in range(count):
        what = alter(stored(name), target, rng)
        for found in outcome(target):
            if found not in ("predicts", "refused"):
                wrong.append(f"{i}: {what}: {found}"[:400])
    return wrong


@pytest.mark.parametrize("name", ["tikhonov", "resnet"])
def test_some_alterations(name, stored, tmp_path):
    assert fuzz(name, stored, tmp_path / "altered.numdl", 12, 0) == []


@pytest.mark.thorough
@pytest.mark.parametrize("name", MODELS)
def test_many_alterations(name, stored, tmp_path):
    assert fuzz(name, stored, tmp_path / "altered.numdl", 400, 1) == []


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
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(change, words, stored, tmp_path):
    path = rewritten(stored("resnet"), tmp_path / "altered.numdl", change)
    with pytest.raises(ValueError, match=words) as error:
        numdl.load(path)
    assert str(error.value).startswith("load") and "\n" not in str(error.value)
    assert words == "float61" or formula_refused(path)


def formula_refused(path):
    try:
        return formula_of(read_plain(path)[0], std=True) is None
    except ValueError as error:
        return str(error).startswith("load")


def test_another_type_of_a_factor_is_refused_where_it_gives_no_numbers(stored, tmp_path):
    def change(arrays, state):
        name = next(name for name in arrays if name.endswith("/coef_") or name == "coef_")
        arrays[name] = np.full_like(arrays[name], np.inf)

    path = rewritten(stored("tikhonov"), tmp_path / "altered.numdl", change)
    with pytest.raises(ValueError, match="not finite"):
        numdl.load(path)
