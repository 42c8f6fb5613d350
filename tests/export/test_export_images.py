"""Models of images as NumPy modules: float64 against loops to 1e-12, numdl's float32 to its rounding, refusals."""

import importlib.util

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.datasets import load_digits

from numdl.estimators import ImageClassifier, PatchFeaturesClassifier, PatchFeaturesRegressor
from numdl.estimators.images.kernel import KernelHead
from numdl.estimators.patches.filters import averages
from numdl.export import CannotExport


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x.reshape(-1, 8, 8)[:300], y[:300]


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def by_loops(model, image):
    """Scaled features of one image in float64, place by place."""
    filters = model.filters_
    h, w = filters.size
    image = image - image.mean()
    rows, columns = (size - side + 1 for size, side in zip(image.shape, (h, w), strict=False))
    down, along = (averages(n, cells) for n, cells in zip((rows, columns), filters.grid, strict=True))
    found = np.zeros((len(filters.weights), 2, len(down), len(along)))
    for i in range(rows):
        for j in range(columns):
            patch = image[i : i + h, j : j + w].transpose(2, 0, 1)
            z = patch / np.sqrt(patch.var() + filters.contrast)
            y = filters.weights.astype(float).reshape(len(found), -1) @ z.ravel() - filters.bias
            for sign in (0, 1):
                beyond = np.maximum((1 - 2 * sign) * y - filters.threshold, 0)
                found[:, sign] += beyond[:, None, None] * np.outer(down[:, i], along[:, j])
    if model.mirror_:
        pairs = found.reshape(-1, 2, 2, len(down), len(along))
        found = pairs[:, 0] + pairs[:, 1, :, :, ::-1]
    return (np.sqrt(found.ravel()) - model.mean_) / model.scale_


@pytest.mark.parametrize("mirror", [True, False])
def test_classes(digits, mirror, tmp_path):
    x, y = digits
    model = PatchFeaturesClassifier(16, mirror=mirror, random_state=0).fit(x, np.array(list("abcdefghij"))[y])
    found = module_of(model.export(tmp_path / "digits.py"))
    features = np.array([by_loops(model, image[..., None]) for image in x[:9]])
    scores = features @ model.weights_.astype(float) + model.offset_
    expected = np.exp(log_softmax(scores @ model.calibration_.matrix + model.calibration_.offset, axis=1))
    np.testing.assert_allclose(found.predict_proba(x[:9]), expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found.predict_proba(x[:40]), model.predict_proba(x[:40]), atol=1e-4)
    np.testing.assert_array_equal(found.predict(x[:40].reshape(40, -1)), model.predict(x[:40]))
    with pytest.raises(ValueError, match=r"needs finite images \(n, 8, 8, 1\)"):
        found.predict(x[:, :7])


def test_numbers_of_images_that_are_reduced_and_have_colours(tmp_path):
    x = np.random.default_rng(0).integers(0, 255, (60, 101, 60, 3)).astype(np.uint8)
    for y in (x[..., 0].mean((1, 2)), x.mean((1, 2)) * [1, 10, 100]):
        model = PatchFeaturesRegressor(8, random_state=0).fit(x, y)
        found = module_of(model.export(tmp_path / f"numbers{y.ndim}.py")).predict(x[:20])
        assert found.shape == y[:20].shape
        np.testing.assert_allclose(found, model.predict(x[:20]), rtol=1e-4)


def test_a_kernel_and_a_network(digits, tmp_path):
    x, y = digits
    model = ImageClassifier(1.0, random_state=0).fit(x[:100], y[:100])
    rng, m = np.random.default_rng(0), len(model.mean_)
    rows = np.array([by_loops(model, image[..., None]) for image in x[:5]]).astype(np.float16)
    model.kernel_ = KernelHead(rows, rng.standard_normal((5, 10)).astype("f4"), np.arange(10.0), 0.5 / m, 0.1)
    model.members_, model.exponents_ = ["patches", "kernel"], np.array([0.7, 0.4])
    found = module_of(model.export(tmp_path / "kernel.py"))
    np.testing.assert_allclose(found.predict_proba(x[:30]), model.predict_proba(x[:30]), atol=1e-4)
    model.exponents_ = np.array([0.7, 0.0])
    found = module_of(model.export(tmp_path / "alone.py"))
    np.testing.assert_allclose(found.predict_proba(x[:30]), model.predict_proba(x[:30]), atol=1e-4)
    model.members_, model.exponents_ = ["patches", "network"], np.array([0.7, 0.4])
    with pytest.raises(CannotExport, match="its network takes part"):
        model.export(tmp_path / "network.py")
    with pytest.raises(CannotExport, match="written in NumPy"):
        model.export(tmp_path / "network.c")
