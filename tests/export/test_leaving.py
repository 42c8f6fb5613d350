"""Derivatives, pure functions, files with the coding of a table, and why a model cannot leave."""

import shutil
import subprocess
import sys
import warnings
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exported_models import answers, by_c, by_numpy, data, error, kernel, labels, near

from numdl import (
    GraphRegularizedClassifier,
    MLPRegressor,
    RandomFeaturesClassifier,
    RandomFeaturesRegressor,
    ResNetClassifier,
    ResNetRegressor,
    SingleLayerRegressor,
    SoftmaxClassifier,
    TikhonovRegressor,
)
from numdl.cli import main
from numdl.data import Table, TableEncoder
from numdl.estimators.common.plain import formula_of, read_plain
from numdl.export import DESCRIBERS, describe
from numdl.export.targets.numpy_module import loaded
from numdl.export.write import export

ROWS = data(1000, seed=5)[0]
FEW = {"max_iter": 3, "n_restarts": 2, "random_state": 0}
POWERS = np.vander(data()[1], 6) + data()[1][:, None]
SMALL = {"width": 4, "depth": 2} | FEW


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def flow(**options):
    return ResNetRegressor(**{"dynamics": "antisymmetric", "damping": 0.1} | SMALL | options)


@pytest.fixture(scope="module")
def network():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return flow().fit(*data(k=2))


def compare(model, folder, tol=1e-12):
    wanted = answers(model, ROWS)
    for result, values in by_numpy(model, ROWS, folder).items():
        assert error(values, wanted[result]) < tol, result
    return wanted


def test_a_network_with_its_posterior(network, tmp_path):
    wanted = compare(network, tmp_path)
    if shutil.which("gcc"):
        for result, values in by_c(network, ROWS, tmp_path).items():
            assert error(values, wanted[result]) < 1e-12, result


@pytest.mark.thorough
@pytest.mark.parametrize(
    "build",
    [
        lambda: flow(dynamics="plain", damping=None, scheme="rk4", activation="softplus").fit(*data()),
        lambda: flow(dynamics="plain", damping=None, scheme="heun", activation="smooth_relu").fit(*data()),
        lambda: flow(dynamics="contractive", damping=0.2, scheme="rk3").fit(data()[0], POWERS),
        lambda: flow(dynamics="double_symmetric", damping=None, activation="silu").fit(*data()),
        lambda: MLPRegressor(widths=(5, 4), activation="gelu", **FEW).fit(*data()),
        lambda: MLPRegressor(widths=(2,) * 11, activation="sine", **FEW).fit(*data()),
        lambda: RandomFeaturesRegressor(width=30, random_state=0).fit(*data(k=2)),
        lambda: RandomFeaturesClassifier(width=30, random_state=0).fit(*labels()),
        lambda: ResNetClassifier(dynamics="plain", **SMALL).fit(*labels()),
        lambda: ResNetClassifier(dynamics="plain", **SMALL).fit(data()[0], data()[1] > 0),
    ],
)  # fmt: skip
def test_other_networks(build, tmp_path):
    compare(build(), tmp_path)


@pytest.mark.thorough
def test_float32(tmp_path):
    compare(SingleLayerRegressor(width=5, dtype="float32", **FEW).fit(*data()), tmp_path, tol=1e-5)


def taylor(model):
    """Order of the error of value plus slope, over rows and targets."""
    x, h = ROWS[:4], 2.0 ** -np.arange(6, 11)
    v = np.random.default_rng(0).normal(size=x.shape) * 0.1
    slope = model.gradient(x)
    slope = slope[:, None] if slope.ndim == 2 else slope
    first = model.predict(x).reshape(len(x), -1)
    assert slope.shape == (*first.shape, x.shape[1])
    left = [model.predict(x + t * v).reshape(first.shape) - first - t * np.einsum("nkd,nd->nk", slope, v) for t in h]
    return np.polyfit(np.log(h), np.log([np.abs(one).max() for one in left]), 1)[0]


def test_gradients_by_taylor(network):
    for model in (network, kernel("matern52"), RandomFeaturesRegressor(width=20, random_state=0).fit(*data())):
        assert abs(taylor(model) - 2) < 0.1


@pytest.mark.thorough
def test_the_gradient_of_a_network_without_a_formula():
    model = flow(dynamics="hamiltonian", damping=None, scheme="verlet").fit(*data(k=2))
    with pytest.raises(ValueError, match=r"export\(ResNetRegressor\): networks with dynamics 'hamiltonian' have no"):
        describe(model)
    assert abs(taylor(model) - 2) < 0.1


def test_a_wrong_gradient_is_seen(network, monkeypatch):
    right = type(network).gradient
    monkeypatch.setattr(type(network), "gradient", lambda self, X: 1.001 * right(self, X))
    assert taylor(network) < 1.5


def test_the_gradient_of_a_linear_model_is_its_coefficients():
    model = TikhonovRegressor().fit(*data(k=2))
    np.testing.assert_allclose(model.gradient(ROWS[:3]), np.broadcast_to(model.coef_, (3, 2, 4)), rtol=1e-14)


def test_a_pure_function_of_jax(network):
    f, x = network.as_jax(std=True), ROWS[0]
    with jax.enable_x64(True):
        mean, std = jax.jit(f)(x)
        slope = jax.jit(jax.jacrev(lambda x: f(x)[0]))(x)
    told = network.predict(x[None], return_std=True)
    np.testing.assert_allclose(mean, told[0][0], rtol=1e-12)
    np.testing.assert_allclose(std, told[1][0], rtol=1e-12)
    np.testing.assert_allclose(slope, network.gradient(x[None])[0], rtol=1e-10)


def test_a_stored_network_is_predicted_without_its_class(network, tmp_path):
    network.save(tmp_path / "m.numdl")
    plain, _ = read_plain(tmp_path / "m.numdl")
    found = formula_of(plain, std=True).predict(ROWS, return_std=True)
    for values, wanted in zip(found, network.predict(ROWS, return_std=True), strict=True):
        assert error(values, wanted) < 1e-12


TABLE = {
    "it's": np.array([1.5, 2.0, -3.0, 0.25, 7.0, 1.0, 2.5, 4.0] * 5),
    "Öl %s": np.array(['a"b', "c'd", "é\\n", "a\"b", "c'd", "é\\n", "%d", "??/"] * 5, object),
    "z": np.arange(40.0) % 7,
}  # fmt: skip


@pytest.fixture(scope="module")
def coded():
    table = Table((*TABLE, "y"), (*TABLE.values(), TABLE["z"] + TABLE["it's"]))
    encoder = TableEncoder.fit(table, "y")
    rare = encoder.to_json()
    rare["features"][1]["common"], rare["features"][1]["rare"] = ['a"b', "c'd"], ["é\\n", "%d", "??/"]
    encoder = TableEncoder.from_json(rare)
    x = encoder.transform(table)
    return TikhonovRegressor(alpha=1e-3).fit(x, encoder.targets(table)[:, 0]), rare, x


def test_files_code_the_columns_of_a_table(coded, tmp_path):
    model, encoder, x = coded
    space = loaded(export(model, tmp_path / "m.py", encoder=encoder).read_bytes())
    assert space["self_test"]() < 1e-12
    np.testing.assert_allclose(space["predict"](TABLE), model.predict(x), rtol=1e-12)
    if shutil.which("gcc"):
        export(model, tmp_path / "m.c", encoder=encoder)
        command = "gcc -std=c99 -pedantic -Wall -Werror -DM_MAIN m.c -o m -lm && ./m"
        subprocess.run(command, shell=True, check=True, cwd=tmp_path, capture_output=True)
    if shutil.which("octave-cli"):
        export(model, tmp_path / "m.m", encoder=encoder)
        command = ["octave-cli", "-q", "--norc", "--eval", "assert(m('test') < 1e-12); disp('done')"]
        assert "done" in subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout


def test_onnx_codes_them_too(coded, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model, encoder, x = coded
    session = onnxruntime.InferenceSession(str(export(model, tmp_path / "m.onnx", encoder=encoder)))
    (mean,) = session.run(["mean"], {name: column[:, None] for name, column in TABLE.items()})
    np.testing.assert_allclose(mean[:, 0], model.predict(x), rtol=1e-12)


def test_a_model_without_a_formula_is_told_why(tmp_path):
    graph = GraphRegularizedClassifier(n_neighbors=3).fit(data()[0], np.arange(40) % 2)
    with pytest.raises(ValueError, match=r"export\(GraphRegularizedClassifier\): it labels the rows of its graph"):
        graph.export(tmp_path / "m.py")
    with pytest.raises(ValueError, match=r"SoftmaxClassifier has no deviations: it predicts classes"):
        SoftmaxClassifier(alpha=0.1).fit(*labels()).export(tmp_path / "m.py", std=True)
    assert list(tmp_path.iterdir()) == []


def test_refusals(tmp_path):
    model = TikhonovRegressor().fit(*data())
    for args, options, message in [
        (("m.py", "fortran"), {}, "fortran"),
        (("m.txt",), {}, "names no language"),
        (("m m.m",), {}, "letters, digits and underscores. Use 'm_m.m'"),
        (("m.py",), {"std": 3}, "needs True, False, 'auto' or a share"),
        (("m.py",), {"rows": np.ones((3, 2))}, "needs (n, 4)"),
    ]:
        with pytest.raises(ValueError) as refused:
            model.export(tmp_path / args[0], *args[1:], **options)
        assert message in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_deviations_are_left_out_where_they_are_large(tmp_path, monkeypatch):
    monkeypatch.setattr("numdl.export.package.MOST", 100)
    space = loaded(kernel("rbf").export(tmp_path / "m.py").read_bytes())
    assert "export with std=True to have it" in (tmp_path / "m.py").read_text()
    with pytest.raises(ValueError, match="no standard deviation"):
        space["predict"](ROWS, return_std=True)


def test_predict_loads_neither_jax_nor_scikit_learn(network, tmp_path):
    x, y = data()
    names = ["a", "b", "c", "d"]
    encoder = TableEncoder.fit(Table((*names, "p", "q"), (*x.T, y, y**2)), ["p", "q"])
    network.save(tmp_path / "model.numdl", {"encoder": encoder.to_json()})
    np.savetxt(tmp_path / "x.csv", np.column_stack([x, y]), delimiter=",", header="a,b,c,d,p", comments="")
    code = "import sys; from numdl.cli import main; code = main(sys.argv[1:]);"
    code += "print(*{'jax', 'scipy', 'sklearn', 'pandas'} & set(sys.modules), file=sys.stderr); sys.exit(code)"
    command = [sys.executable, "-c", code, "predict", "model.numdl", "x.csv", "--std", "--keep", "--out", "p.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.strip() == ""
    head, *rows = (tmp_path / "p.csv").read_text().splitlines()
    assert head.replace('"', "") == "a,b,c,d,p,p_predicted,p_std,q,q_std"
    found = np.array([row.split(",") for row in rows], float)
    mean, std = network.predict(x, return_std=True)
    np.testing.assert_array_equal(found[:, :4], x)
    np.testing.assert_allclose(found[:, [5, 7]], mean, rtol=1e-12)
    np.testing.assert_allclose(found[:, [6, 8]], std, rtol=1e-12)


def test_every_kind_with_a_formula_is_an_estimator():
    from numdl import estimators

    assert set(DESCRIBERS) <= set(estimators.__all__)


def test_the_command(coded, tmp_path, capsys):
    model, encoder, x = coded
    model.save(tmp_path / "model.numdl", {"encoder": encoder})
    assert main(["export", str(tmp_path)]) == 0
    space = loaded((tmp_path / "model.py").read_bytes())
    np.testing.assert_allclose(space["predict"](TABLE), model.predict(x), rtol=1e-12)
    for args, message in [
        ([], "this exists; give another name, or add --overwrite"),
        (["--to", "fortran"], "give one of numpy, c, onnx, matlab"),
        (["--std", "maybe"], "give one of auto, yes, no"),
        (["--out", str(tmp_path / "no" / "f.c")], "there is no folder"),
    ]:
        assert main(["export", str(tmp_path), *args]) == 1
        assert message in " ".join(capsys.readouterr().err.split())
    assert main(["export", str(tmp_path), "--overwrite", "--std", "no"]) == 0


def test_a_stored_model_without_a_formula_is_predicted_by_its_estimator(tmp_path):
    plain = SimpleNamespace(kind="NoSuchRegressor")
    assert formula_of(plain, std=False) is None
    damaged = SimpleNamespace(kind="TikhonovRegressor", coef_=np.ones(3))
    assert formula_of(damaged, std=False) is None


def gappy(n, seed):
    """A table with gaps and dates as words, and the same as exports read it."""
    rng = np.random.default_rng(seed)
    days = 19000 + 800 * rng.uniform(size=n)
    when = np.array(days * 86400e6, "datetime64[us]")
    days = when.astype("int64") / 1e6 / 86400
    number, word = (
        np.maximum(rng.normal(size=n) - 0.5, 0.0),
        rng.choice(["ash", "oak", 'it\'s "fir"'], n).astype(object),
    )
    told = when.astype(str).astype(object)
    gaps = rng.uniform(size=(3, n)) < 0.1
    y = number + np.sin(days) + (word == "oak")
    number, days = np.where(gaps[0], np.nan, number), np.where(gaps[2], np.nan, days)
    word[gaps[1]], told[gaps[2]] = None, None
    clock = np.array([f"{h:02}:{m:02}" for h, m in rng.integers(0, [24, 60], (n, 2))], dtype=object)
    hours = np.array([int(t[:2]) / 24 + int(t[3:]) / 1440 for t in clock])
    table = Table(("a", "w", "d", "e", "t", "z", "y"), (number, word, told, told, clock, rng.normal(size=n), y))
    given = dict(
        zip(table.names, (number, [w or "" for w in word], days, days, hours, table.column("z")), strict=False)
    )
    return table, given


@pytest.mark.parametrize("dates", ["cyclic", pytest.param("elapsed", marks=pytest.mark.thorough)])
def test_gaps_and_dates_are_coded_in_every_language(dates, tmp_path):
    train = gappy(200, 0)[0]
    encoder = TableEncoder.fit(train, "y", missing="impute", dates=dates)
    model = TikhonovRegressor(alpha=1e-3).fit(encoder.transform(train), train.column("y"))
    model.save(tmp_path / "model.numdl", {"encoder": encoder.to_json()})
    table, given = gappy(1000, 1)
    wanted = model.predict(encoder.transform(table))
    for to in ("numpy", "c", "matlab"):
        assert main(["export", str(tmp_path), "--to", to]) == 0
    space = loaded((tmp_path / "model.py").read_bytes())
    np.testing.assert_allclose(space["predict"](given), wanted, rtol=1e-12, atol=1e-12)
    moments = {**given, "d": np.array(table.column("d"), "datetime64[us]"), "w": table.column("w")}
    np.testing.assert_allclose(space["predict"](moments), wanted, rtol=1e-12, atol=1e-12)
    head = " ".join((tmp_path / "model.c").read_text().split())
    assert "Column d: a date in days since 1970-01-01 00:00 UTC" in head and "is empty text and counts as" in head
    broken = dict(given, a=np.where(np.isnan(given["a"]), 0.0, given["a"]))  # a gap that is not seen
    assert np.abs(space["predict"](broken) - wanted).max() > 1e-6
    if shutil.which("gcc"):
        np.testing.assert_allclose(rows_by_c(given, tmp_path), wanted, rtol=1e-12, atol=1e-12)
    if shutil.which("octave-cli"):
        for name in "adetz":
            np.savetxt(tmp_path / f"{name}.txt", given[name], fmt="%.17g")
        (tmp_path / "w.txt").write_text("\n".join(given["w"]) + "\n")
        words = "strsplit(fileread('w.txt'), char(10), 'CollapseDelimiters', false).'(1:1000)"
        columns = ", ".join(words if name == "w" else f"load('{name}.txt')" for name in "awdetz")
        code = f"y = model({{{columns}}}); assert(model('test') < 1e-12); printf('%.17g\\n', y);"
        command = ["octave-cli", "-q", "--norc", "--eval", code]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        np.testing.assert_allclose(np.array(done.stdout.split(), float), wanted, rtol=1e-12, atol=1e-12)


def test_functions_take_what_tables_hold_and_name_what_they_cannot_read(tmp_path):
    train = gappy(60, 0)[0]
    encoder = TableEncoder.fit(train, "y", missing="impute", dates="elapsed")
    model = TikhonovRegressor(alpha=1e-3).fit(encoder.transform(train), train.column("y"))
    encode = loaded(export(model, tmp_path / "m.py", encoder=encoder.to_json()).read_bytes())["encode"]
    given = {"a": [1.0], "w": ["oak"], "d": [19000.0], "e": [19000.0], "t": [0.5], "z": [0.0]}
    for gap in (np.nan, None, ""):
        twice = {name: [*column, gap] if name in "awd" else column * 2 for name, column in given.items()}
        found, whole = encode(twice), encode({name: column * 2 for name, column in given.items()})
        assert np.isfinite(found).all() and (found[1] != whole[1]).sum() >= 3  # three indicators, at least
        np.testing.assert_array_equal(found[0], whole[0])
    for name, entry, told in (
        ("d", "31.01.2021", "is no date"),
        ("t", "12:30", "is no date"),
        ("z", "high", "no number"),
    ):
        with pytest.raises(ValueError, match=f"column '{name}': '{entry}' {told}|column '{name}': '{entry}' is {told}"):
            encode({**given, name: [entry]})
    kind = Table(("w", "y"), (np.array(["ash", "oak"] * 5, dtype=object), np.arange(10.0)))
    encoder = TableEncoder.fit(kind, "y")
    model = TikhonovRegressor(alpha=1e-3).fit(encoder.transform(kind), kind.column("y"))
    encode = loaded(export(model, tmp_path / "n.py", encoder=encoder.to_json()).read_bytes())["encode"]
    with pytest.raises(ValueError, match="column 'w': an entry is missing"):
        encode({"w": ["ash", None]})


def rows_by_c(given, folder):
    """Predictions of rows of a table by the row structure of the C file."""
    lines = ["#include <stdio.h>", '#include "model.c"', "int main(void) {", "static const model_row R[] = {"]
    for a, w, *others in zip(*given.values(), strict=True):
        numbers = [f"{value!r}".replace("nan", "NAN") for value in map(float, (a, *others))]
        word = "NULL" if not w else '"' + w.replace('"', '\\"') + '"'
        lines.append("{" + ", ".join([numbers[0], word, *numbers[1:]]) + "},")
    lines.append("}; for (int i = 0; i < 1000; i++) { double x[MODEL_INPUTS], y[1];")
    lines.append('model_encode(R + i, x); model_mean(x, y); printf("%.17g\\n", y[0]); } return 0; }')
    (folder / "rows.c").write_text("\n".join(lines))
    for options, file in (("-DMODEL_MAIN", "model.c"), ("", "rows.c")):
        command = f"gcc -std=c99 -pedantic -Wall -Werror -Wno-unused-function {options} {file} -o rows -lm && ./rows"
        done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return np.array(done.stdout.split(), float)


def test_onnx_codes_gaps_and_dates(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    train = gappy(200, 0)[0]
    encoder = TableEncoder.fit(train, "y", missing="impute", dates="cyclic")
    model = TikhonovRegressor(alpha=1e-3).fit(encoder.transform(train), train.column("y"))
    table, given = gappy(1000, 1)
    session = onnxruntime.InferenceSession(str(export(model, tmp_path / "m.onnx", encoder=encoder.to_json())))
    columns = {name: np.array(column, None if name != "w" else object)[:, None] for name, column in given.items()}
    (mean,) = session.run(["mean"], columns)
    np.testing.assert_allclose(mean[:, 0], model.predict(encoder.transform(table)), rtol=1e-12, atol=1e-12)


def test_nearest_of_too_many_rows_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("numdl.export.describers.mixtures.EXACT", 39)
    with pytest.raises(ValueError, match=r"nearest of 40 rows finds them approximately beyond 39.*or fewer rows"):
        near().export(tmp_path / "m.py")


def test_nearest_rows_in_jax_and_their_gradient():
    model = near()
    model.mixtures_[0].members[:2] = []  # one kernel with a root that has no derivative at 0, and the roughest
    rows = data(30, seed=5)[0]
    with jax.enable_x64(True):
        function = model.as_jax(std=True)
        (found, back) = jax.vjp(jax.jit(function), jnp.asarray(rows))
        for one, wanted in zip(found, model.predict(rows, return_std=True), strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-11, atol=1e-11)
        (slope,) = back((jnp.ones(30), jnp.zeros(30)))
    np.testing.assert_allclose(slope, model.gradient(rows), rtol=1e-8, atol=1e-8)
