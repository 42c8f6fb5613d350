"""What cannot be fitted is refused before any work, with the column, the row and the next thing to try."""

import warnings

import numpy as np
import pandas as pd
import pytest
from small_models import classifier, labels, regressor, table

from numdl import AutoClassifier, AutoRegressor, KernelRegressor

X, Y = table(12)
LABELS = labels(12)[1]


def spoiled(value, row=4, column=1):
    x = X.copy()
    x[row, column] = value
    return x


@pytest.fixture(autouse=True)
def no_work(monkeypatch):
    """Refusals come before training."""

    def never(*args, **kwargs):
        raise AssertionError("training began")

    monkeypatch.setattr("numdl.estimators.networks.training.training.search_architectures", never)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            spoiled(np.nan),
            Y,
            r"ResNetRegressor.fit: Input X contains NaN at column 1, row 5 \(1 such .*Remove or impute",
        ),
        (spoiled(-np.inf), Y, "Input X contains infinity at column 1, row 5"),
        (pd.DataFrame(spoiled(np.nan), columns=["a", "b", "c"]), Y, "NaN at column 'b', row 5"),
        (X, np.where(np.arange(12) == 7, np.nan, Y), "Input y contains NaN at row 8"),
        (
            X,
            np.column_stack([Y, np.where(np.arange(12) == 7, np.inf, Y)]),
            "Input y contains infinity at column 1, row 8",
        ),
        (X, np.full(12, 2.5), r"the target is constant \(2.5 in all 12 rows\), there is nothing to learn. Check"),
        (X, np.column_stack([Y, np.zeros(12)]), "target column 1 is constant .* leave this column out"),
        (X, LABELS, "y holds text, a regressor needs numbers. Use ResNetClassifier"),
        (X[:1], Y[:1], "n_samples = 1, a network needs at least 2 rows"),
        (X[:0], Y[:0], r"0 sample\(s\)"),
        (X[:, :0], Y, r"0 feature\(s\)"),
        (X, Y[:5], "inconsistent numbers of samples"),
        (X[:, 0], Y, "Reshape your data"),
        (np.where(X > 0, "yes", "no"), Y, "could not convert|numeric"),
        (pd.DataFrame(X, columns=["a", "b", "a"]), Y, r"(?s)Expected unique column names.*'a' 2 times"),
    ],
)
def test_data_of_a_regressor(x, y, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(x, y)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (spoiled(np.nan), LABELS, "ResNetClassifier.fit: Input X contains NaN at column 1, row 5"),
        (X, np.full(12, "only"), r"y holds one class only \('only'\), needs at least two classes"),
        (X, np.where(np.arange(12) == 3, np.nan, np.arange(12.0) % 2), "Input y contains NaN at row 4"),
        (X, Y, "Unknown label type"),
        (X, np.column_stack([LABELS, LABELS]), "needs .*one label per row|multioutput|Unknown label type"),
    ],
)
def test_data_of_a_classifier(x, y, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(x, y)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.r_[-1.0, np.ones(11)], "Negative values"),
        (np.zeros(12), "at least one non-zero number"),
        (np.ones(5), "inconsistent|shape"),
        (np.r_[np.nan, np.ones(11)], "NaN"),
        (np.r_[1.0, np.zeros(11)], "needs at least 2 rows"),
    ],
)
def test_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, Y, weights)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("width", 0, r"ResNetRegressor\(width=0\): needs a whole number >= 1"),
        ("width", 2.5, "needs a whole number >= 1"),
        ("width", "wide", "needs a whole number >= 1"),
        ("depth", -1, "needs a whole number >= 0"),
        ("n_restarts", 0, "needs a whole number >= 1"),
        ("max_iter", 0, "needs a whole number >= 1"),
        ("T", 0.0, "needs a finite number > 0"),
        ("T", np.inf, "needs a finite number > 0"),
        ("tol", -1e-3, "needs a finite number >= 0"),
        ("alpha", -1.0, "needs a finite number > 0"),
        ("alpha", np.nan, "needs a finite number > 0"),
        ("alpha_head", 0.0, "needs a finite number > 0"),
        ("alpha_head", True, "needs a finite number > 0"),
        ("time_budget", 0, "needs a finite number > 0"),
        ("memory_budget", 1000, "needs a finite number >= 1.04858e[+]06"),
        ("dynamics", "wild", r"\(dynamics='wild'\): unknown. Use one of 'auto', 'plain'"),
        ("damping", -0.1, "needs a finite number >= 0"),
        ("damping", 0.1, "dynamics='plain'.*needs dynamics with damping. Use one of antisymmetric, contractive"),
        ("scheme", "magic", "unknown. Use one of 'euler'"),
        (
            "control",
            "cubic",
            "unknown. Use one of 'constant', 'linear', 'linear_spline', 'spline', 'legendre', 'chebyshev'",
        ),
        ("march", ["stored"], "unknown. Use one of 'stored', 'remat'"),
        ("activation", "step", "unknown. Use one of"),
        ("solver", "sparse", "unknown. Use one of 'auto', 'dense', 'matrix-free'"),
        ("dtype", "float16", "unknown. Use one of 'float64', 'float32'"),
    ],
)
def test_parameters(name, value, message):
    with pytest.raises(ValueError, match=message):
        regressor(**{name: value}).fit(X, Y)


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        ({"X_val": X}, "X_val and y_val belong together"),
        ({"y_val": Y}, "X_val and y_val belong together"),
        ({"X_val": X, "y_val": Y[:5]}, "X_val has 12 rows and y_val 5"),
        ({"X_val": X[:, :2], "y_val": Y}, "2 features"),
        ({"X_val": spoiled(np.nan), "y_val": Y}, r"fit\(X_val\): Input X contains NaN at column 1, row 5"),
        ({"X_val": X, "y_val": np.where(Y[2] == Y, np.nan, Y)}, "Input y_val contains NaN at row 3"),
        ({"X_val": X, "y_val": np.column_stack([Y, Y])}, "y_val has 2 targets, y has 1"),
    ],
)
def test_validation_rows(held_out, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, Y, **held_out)


def test_what_is_no_mesh():
    with pytest.raises(ValueError, match=r"fit\(mesh=2\): needs a jax.sharding.Mesh. Use jax.make_mesh"):
        regressor().fit(X, Y, mesh=2)


@pytest.mark.parametrize("kind", [AutoRegressor, AutoClassifier, KernelRegressor])
def test_text_in_a_frame_and_rows_beyond_reach(kind):
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"])
    y = np.where(np.median(Y) < Y, 1.0, 0.0) if kind is AutoClassifier else Y
    quick = {"kernel": "rbf", "average": False} if kind is KernelRegressor else {"time_budget": 0.01}
    words = frame.assign(b=pd.Categorical(["u", "v"] * 6))
    with pytest.raises(ValueError, match=rf"{kind.__name__}.fit: X holds 'u' at column 'b', row 1, needs numbers"):
        kind().fit(words, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kind(random_state=0, **quick).fit(frame, y)
    far = frame.assign(b=[0.0, 1e300] * 6)
    with pytest.raises(ValueError, match=rf"{kind.__name__}.predict: X at column 'b', row 2 is more than 1e\+100"):
        model.predict(far)
    assert kind is AutoClassifier or np.isfinite(model.predict(frame * 1e90, return_std=True)).all()


@pytest.mark.parametrize("kind", [AutoRegressor, KernelRegressor])
def test_complex_numbers_are_refused_in_one_line(kind):
    with pytest.raises(ValueError, match="Complex data not supported") as refused:
        kind().fit(X + 1j, Y)
    assert "\n" not in str(refused.value) and "needs to be a table of numbers" in str(refused.value)
