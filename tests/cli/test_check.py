"""``numdl check``: a verdict and a page for residual networks, one clear error for others."""

import dataclasses

import numpy as np
import pytest


def test_a_verdict_and_a_page(numdl, tmp_path):
    rng = np.random.default_rng(0)
    from numdl import ResNetRegressor
    from numdl.estimators.common.saving import save
    from numdl.models import ResNet

    X = rng.uniform(-1, 1, (30, 2))
    model = ResNetRegressor(3, 2, dynamics="antisymmetric", n_restarts=1, max_iter=2, random_state=0)
    with pytest.warns(match="the most that was allowed"):
        model.fit(X, np.sin(X[:, 0]) + X[:, 1])
    # A flow that contracts, in place of the fitted one: its continuous adjoint is wrong.
    net, K = ResNet(2, 6, 20, T=2.0, dynamics="parabolic"), 3.0 * rng.standard_normal((6, 6)) / 6**0.5
    opening = {name: np.asarray(part, np.float64) for name, part in net.init(0)["opening"].items()}
    theta = {"opening": opening, "flow": {"K": np.tile(K, (20, 1, 1)), "b": np.zeros((20, 6))}}
    model.members_ = [model.members_[0]._replace(net=net, theta=theta, head=np.zeros((1, 7)), posterior=None)]
    save(model, tmp_path / "model.numdl")
    end = numdl("check", tmp_path / "model.numdl", "--out", tmp_path / "check.html")
    assert end.code == 0 and "The continuous adjoint is wrong: its gradient by the weights is off by" in end.out
    page = (tmp_path / "check.html").read_text()
    assert "Verdict" in page and page.count("<svg") == 4 and "Gradient of the continuous adjoint" in page
    assert "Lipschitz bound" in page and "from scaled inputs to features" in page
    said = end.out.splitlines()[:-1]
    assert len(said) > 5 and all(sentence.endswith(".") for sentence in said)
    # consequence first, then theory, and no command where nothing is to be mended
    assert said[0].startswith("Judged is network 1 of 1 that predict together, on 16 rows: small changes stay small")
    assert "amplifies" not in page and "To mend it" not in end.out
    theta["flow"]["K"] *= 3  # steps far too long
    model.members_ = [model.members_[0]._replace(net=ResNet(2, 6, 20, T=20.0, dynamics="plain"), theta=theta)]
    save(model, tmp_path / "wild.numdl")
    end = numdl("check", tmp_path / "wild.numdl", "--out", tmp_path / "wild.html")
    assert "amplified" in end.out.splitlines()[0] and "badge bad" in (tmp_path / "wild.html").read_text()
    assert end.out.splitlines()[-2].startswith("To mend it: numdl fit DATA --target NAME --model resnet --")
    assert "the file exists" in numdl("check", tmp_path / "model.numdl", "--out", tmp_path / "check.html").err
    assert "does not know the columns" in numdl("check", tmp_path / "model.numdl", "x.csv", "--out", tmp_path / "b").err


def test_a_table_with_labels_tells_which_rows_are_right_by_proof(numdl, tmp_path):
    from numdl import ResNetClassifier
    from numdl.data import Table, TableEncoder

    X = np.random.default_rng(0).uniform(-1, 1, (40, 2))
    y = np.where(X[:, 0] > 0, "right", "left")
    model = ResNetClassifier(3, 2, dynamics="antisymmetric", n_restarts=1, max_iter=3, random_state=0)
    with pytest.warns(match="the most that was allowed"):
        model.fit(X, y)
    encoder = TableEncoder.fit(Table(("a", "b", "side"), (*X.T, y.astype(object))), "side")
    model.save(tmp_path / "model.numdl", {"encoder": encoder.to_json()})
    lines = [f"{float(a)!r},{float(b)!r},{side}" for (a, b), side in zip(X, y, strict=True)]
    (tmp_path / "new.csv").write_text("\n".join(["a,b,side", *lines]))
    end = numdl("check", tmp_path / "model.numdl", tmp_path / "new.csv", "--out", tmp_path / "check.html")
    share = np.mean(model.certified_radius(X, y) > 0.1)
    told = f"Right for all changes up to 0.1 standard deviations: {share:.1%} of the rows, by proof"
    assert 0 < share < 1 and told in end.out, end.err
    assert "Labelled rows: 40 of 40" in end.out
    assert "Right for all changes up to 0.3 standard deviations" in (tmp_path / "check.html").read_text()
    # rows without a label, and those of no class of the model, are judged as before, and not counted
    (tmp_path / "new.csv").write_text("\n".join(["a,b,side", *lines[:30], "0.1,0.2,up", "0.1,0.2,", *lines[30:]]))
    end = numdl("check", tmp_path / "model.numdl", tmp_path / "new.csv", "--out", tmp_path / "more.html")
    assert end.code == 0 and "Labelled rows: 40 of 42 hold a class" in end.out, end.err
    assert told.replace("the rows", "these rows") in end.out
    (tmp_path / "new.csv").write_text("a,b,side\n0.1,0.2,up\n0.1,0.3,")
    end = numdl("check", tmp_path / "model.numdl", tmp_path / "new.csv", "--out", tmp_path / "none.html")
    assert end.code == 0 and "Labelled rows: 0 of 2" in end.out and "by proof" not in end.out, end.err
    (tmp_path / "new.csv").write_text("a,b\n0.1,0.2")
    end = numdl("check", tmp_path / "model.numdl", tmp_path / "new.csv", "--out", tmp_path / "other.html")
    assert end.code == 0 and "by proof" not in end.out


@pytest.mark.parametrize(
    ("classes", "column", "rows", "labels"),
    [
        (["a", "b"], ["b", None, "c", "a", "?"], [0, 3], ["b", "a"]),
        (["Gro\u0308\u00dfe"], ["Gr\u00f6\u00dfe", "k", "Gro\u0308\u00dfe"], [0, 2], ["Gro\u0308\u00dfe"] * 2),
        ([2, 10], [10.0, np.nan, 2.5, np.inf, 2.0], [0, 4], [10, 2]),
        ([2, 10], ["10", "up", "2"], [0, 2], [10, 2]),
    ],
)
def test_labels_of_a_table_are_the_classes_of_the_model(classes, column, rows, labels):
    from numdl.cli.check import _labelled
    from numdl.data import Table

    column = np.array(column, dtype=None if isinstance(column[0], float) else object)
    found = _labelled(Table(("side",), (column,)), "side", np.array(classes))
    assert [part.tolist() for part in found] == [rows, labels]


def test_an_error_of_the_proof_is_not_taken_for_an_unknown_bound():
    from numdl import ResNetClassifier
    from numdl.cli.check import _certified

    X = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    y = np.where(X[:, 0] > 0, "right", "left")
    with pytest.warns(match="the most that was allowed"):
        model = ResNetClassifier(3, 2, dynamics="antisymmetric", n_restarts=1, max_iter=1, random_state=0).fit(X, y)
    assert len(_certified(model, X, (np.arange(20), y))) == 3
    with pytest.raises(ValueError, match="no class"):
        _certified(model, X, (np.arange(20), np.full(20, "up")))
    first = model.members_[0]
    model.members_ = [first, first._replace(net=dataclasses.replace(first.net, scheme="rk3"))]
    assert _certified(model, X, (np.arange(20), y)) == {}


@pytest.fixture(scope="module")
def of_images(tmp_path_factory):
    """A model of digits in shares of 16, as numdl fit stores it, and new digits."""
    from sklearn.datasets import load_digits

    from numdl.estimators import PatchFeaturesClassifier

    x, y = load_digits(return_X_y=True)
    x, y, folder = x.reshape(-1, 8, 8) / 16, np.array(["even", "odd"])[y % 2], tmp_path_factory.mktemp("images")
    model = PatchFeaturesClassifier(16, random_state=0).fit(x[:200], y[:200])
    model.save(folder / "model.numdl", {"images": {"shape": [8, 8, 1], "target": "label", "size": None}})
    return model, folder, x[200:230], y[200:230]


def test_images_tell_what_is_right_by_trial_and_by_proof(numdl, of_images, tmp_path):
    model, folder, x, y = of_images
    np.savez(tmp_path / "new.npz", x=x, label=np.append(y[:-2], ["?", "even"]))
    end = numdl("check", folder, tmp_path / "new.npz", "--out", tmp_path / "check.html")
    assert end.code == 0, end.err
    x, y = np.delete(x, 28, axis=0), np.append(y[:28], "even")
    radius, right = model.certified_radius(x, y), np.mean(model.predict(x) == y)
    lines = {cells[1].strip(): cells[2:-1] for cells in (line.split("│") for line in end.out.splitlines()) if cells[1:]}
    assert [*lines] == ["0", "0.1", "0.3"]
    assert lines["0"][-1].strip() == f"{right:.1%}" and lines["0.1"][-1].strip() == f"{np.mean(radius >= 0.1):.1%}"
    assert "29 of 30 images in new.npz, 1 of no class of this model left out" in end.out
    assert "pixels from 0 to 1 in the fit; lengths are Euclidean, in this unit" in end.out
    assert "no power iteration" in end.out and "Right, by the Euclidean length of a change" in end.out
    said = [line for line in end.out.splitlines() if line.endswith(".")]
    assert said[0].startswith("Small random changes") and "By proof" in said[-1]  # what happens first
    page = (tmp_path / "check.html").read_text()
    assert page.count("<svg") == 2 and f"<td>{right:.1%}</td>" in page
    # without labels, the classes that the model tells
    np.savez(tmp_path / "plain.npz", x=x)
    end = numdl("check", folder, tmp_path / "plain.npz", "--out", tmp_path / "plain.html")
    assert end.code == 0 and "for lack of labels, the classes told" in end.out and "Same class, by" in end.out, end.err
    end = numdl("check", folder, "--out", tmp_path / "random.html")
    assert end.code == 0 and "16 images of random pixels" in end.out, end.err


def test_bytes_are_judged_in_grey_levels_and_in_shares_of_their_range(numdl, of_images, tmp_path):
    from numdl.estimators import PatchFeaturesClassifier

    _, _, x, y = of_images
    x, codes = (255 * x).astype(np.uint8), np.uint8(y == "odd")
    PatchFeaturesClassifier(4, random_state=0).fit(x, codes).save(tmp_path / "model.numdl")
    for name, array in (("images", x), ("labels", codes)):
        head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
        (tmp_path / f"{name}-ubyte").write_bytes(head + array.tobytes())
    words = ["check", tmp_path, tmp_path / "images-ubyte", "--labels", tmp_path / "labels-ubyte"]
    end = numdl(*words, "--out", tmp_path / "check.html")
    assert end.code == 0 and all(f"│ {length:>6} │" in end.out for length in ("0.1", "0.3", "25.5", "76.5")), end.err


def test_what_is_not_for_images_or_not_for_tables_is_refused(numdl, of_images, tmp_path):
    from numdl import ResNetRegressor
    from numdl.estimators import PatchFeaturesRegressor

    _, folder, x, _ = of_images
    out = ["--out", tmp_path / "check.html"]
    assert "numdl check --sheet: this is for tables" in numdl("check", folder, "a.npz", "--sheet", "1", *out).err
    assert "there is no" in numdl("check", folder, tmp_path / "none.npz", *out).err
    np.savez(tmp_path / "small.npz", x=x[:, :4])
    assert "4 x 8 x 1, those of the fit were 8 x 8 x 1" in numdl("check", folder, tmp_path / "small.npz", *out).err
    np.savez(tmp_path / "other.npz", x=x, label=np.repeat(["cat", "dog"], len(x) // 2))
    error = numdl("check", folder, tmp_path / "other.npz", *out).err
    assert "such as cat and dog, is a class of the model, such as even and odd" in " ".join(error.split())
    PatchFeaturesRegressor(4).fit(x, x.mean(axis=(1, 2))).save(tmp_path / "model.numdl")
    assert "PatchFeaturesRegressor, has no flow to judge" in numdl("check", tmp_path / "model.numdl", *out).err
    model = ResNetRegressor(3, 2, n_restarts=1, max_iter=1, random_state=0)
    with pytest.warns(match="the most that was allowed"):
        model.fit(x[:, 3, 3:5], x[:, 4, 3])
    model.save(tmp_path / "net.numdl")
    assert "this is for images in IDX" in numdl("check", tmp_path / "net.numdl", "--labels", "a", *out).err
    assert not (tmp_path / "check.html").exists()


@pytest.mark.thorough
def test_the_table_is_a_sheet_of_a_workbook_without_names(numdl, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    from numdl import ResNetRegressor
    from numdl.data import Table, TableEncoder

    X = np.random.default_rng(0).uniform(-1, 1, (30, 2))
    model = ResNetRegressor(3, 2, n_restarts=1, max_iter=2, random_state=0)
    with pytest.warns(match="the most that was allowed"):
        model.fit(X, np.sin(X[:, 0]) + X[:, 1])
    encoder = TableEncoder.fit(Table(("column0", "column1", "y"), (*X.T, X[:, 0])), "y", missing="impute")
    model.save(tmp_path / "model.numdl", {"encoder": encoder.to_json()})
    book = openpyxl.Workbook()
    book.active.append(["nothing here"])
    sheet = book.create_sheet("rig 2")
    for a, b in X[:9]:
        sheet.append([a, b])
    sheet.append([-999, 0.5])
    book.save(tmp_path / "rig.xlsx")
    words = [tmp_path / "model.numdl", tmp_path / "rig.xlsx", "--sheet", "2", "--no-header", "--na", "-999"]
    end = numdl("check", *words, "--out", tmp_path / "check.html")
    assert end.code == 0 and "on 10 rows" in end.out, end.err
    assert "Sheet 'rig 2' is read" in numdl("check", *words[:2], "--out", tmp_path / "other.html").err
    end = numdl("predict", *words)
    expected = model.predict(np.vstack([X[:9], [[np.median(X[:, 0]), 0.5]]]))
    np.testing.assert_allclose(np.array(end.out.split()[1:], float), expected, rtol=1e-12)


def test_a_model_without_flow_is_refused(numdl, tmp_path):
    from numdl import TikhonovRegressor
    from numdl.estimators.common.saving import save

    save(TikhonovRegressor().fit(np.eye(4)[:, :2], np.arange(4.0)), tmp_path / "model.numdl")
    end = numdl("check", tmp_path / "model.numdl", "--out", tmp_path / "check.html")
    assert end.code == 1 and "TikhonovRegressor, has no flow to judge" in end.err
    assert not (tmp_path / "check.html").exists()
