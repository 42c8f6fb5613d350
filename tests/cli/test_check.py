"""``numdl check``: a verdict and a page for residual networks, one clear error for others."""

import numpy as np
import pytest


def test_a_verdict_and_a_page(numdl, tmp_path):
    rng = np.random.default_rng(0)
    from numdl import ResNetRegressor
    from numdl.io import save

    X = rng.uniform(-1, 1, (30, 2))
    model = ResNetRegressor(3, 2, dynamics="antisymmetric", n_restarts=1, max_iter=2, random_state=0)
    with pytest.warns(match="the most that was allowed"):
        model.fit(X, np.sin(X[:, 0]) + X[:, 1])
    save(model, tmp_path / "model.numdl")
    end = numdl("check", tmp_path / "model.numdl", "--out", tmp_path / "check.html")
    assert end.code == 0, end.err
    page = (tmp_path / "check.html").read_text()
    found = model.stability(X)
    assert "Verdict" in page and page.count("<svg") == 4 and len(found.amplification) == 2
    assert found.verdict and all(sentence.endswith(".") for sentence in found.verdict)
    assert "the file exists" in numdl("check", tmp_path / "model.numdl", "--out", tmp_path / "check.html").err
    assert "does not know the columns" in numdl("check", tmp_path / "model.numdl", "x.csv", "--out", tmp_path / "b").err


def test_a_model_without_flow_is_refused(numdl, tmp_path):
    from numdl import TikhonovRegressor
    from numdl.io import save

    save(TikhonovRegressor().fit(np.eye(4)[:, :2], np.arange(4.0)), tmp_path / "model.numdl")
    end = numdl("check", tmp_path / "model.numdl", "--out", tmp_path / "check.html")
    assert end.code == 1 and "TikhonovRegressor, has no flow to judge" in end.err
    assert not (tmp_path / "check.html").exists()
