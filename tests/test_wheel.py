"""The wheel alone, without extras and away from the checkout, fits, predicts, checks and runs an experiment."""

import os
import subprocess
import sys
import venv
import zipfile
from email import message_from_string
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import numdl

CHECKOUT = Path(__file__).parents[1]
PARTS_OF_PYTHON = ("..", "__pycache__")

IN_PYTHON = """
import sys
import numpy as np
import numdl
from numdl import ResNetRegressor, TikhonovRegressor

assert numdl.__file__.startswith(sys.prefix), numdl.__file__
x = np.random.default_rng(0).normal(size=(60, 2))
y = x @ [1.0, -2.0] + 0.5
assert abs(TikhonovRegressor(alpha=1e-8).fit(x, y).predict(x) - y).max() < 1e-5
net = ResNetRegressor(width=3, depth=2, n_restarts=1, max_iter=3, random_state=0).fit(x, y)
net.save("net.numdl")
assert (numdl.load("net.numdl").predict(x) == net.predict(x)).all()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    call = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    done = subprocess.run(call, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    return path


def read(wheel):
    """Names of the files, and the metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.namelist(), message_from_string(archive.read(metadata).decode())


def needed(requirements):
    """All distributions that the requirements bring, without extras that nobody asks for."""
    found, left = {}, [(Requirement(line), "") for line in requirements]
    while left:
        one, extra = left.pop()
        if one.marker is not None and not one.marker.evaluate({"extra": extra}):
            continue
        for wanted in ("", *one.extras):
            if (one.name, wanted) not in found:
                found[one.name, wanted] = brought = distribution(one.name)
                left += [(Requirement(line), wanted) for line in brought.requires or ()]
    return {each.metadata["Name"]: each for each in found.values()}.values()


@pytest.fixture(scope="module")
def alone(wheel, tmp_path_factory):
    """Runs programs of an environment with the wheel and what it declares, linked from here: no network is needed."""
    home = tmp_path_factory.mktemp("alone")
    venv.create(home / "env", with_pip=False, symlinks=True)
    programs = home / "env" / "bin"
    (site,) = (home / "env" / "lib").glob("python*/site-packages")
    for each in needed(read(wheel)[1].get_all("Requires-Dist")):
        for top in {path.parts[0] for path in each.files} - set(PARTS_OF_PYTHON):
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(each.locate_file(top))).resolve())
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "--no-index", str(wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    def run(program, *args):
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "XLA_FLAGS")}
        call = [str(programs / program), *args]
        return subprocess.run(call, cwd=home, env=environment, capture_output=True, text=True, check=False)

    def succeed(program, *args):
        done = run(program, *args)
        assert done.returncode == 0, (args, done.stdout, done.stderr)
        return done.stdout

    succeed.home, succeed.run = home, run
    return succeed


@pytest.mark.thorough
def test_the_wheel_has_the_version_of_the_package_and_nothing_for_developers(wheel):
    files, metadata = read(wheel)
    assert metadata["Version"] == numdl.__version__
    assert metadata.get_all("Provides-Extra") == ["excel", "hdf5", "images", "ode", "onnx"]
    assert not [line for line in metadata.get_all("Requires-Dist") if line.startswith(("torch", "pytest", "ruff"))]
    assert "numdl/py.typed" in files
    assert {name.split("/")[0] for name in files} == {"numdl", f"numdl-{numdl.__version__}.dist-info"}


@pytest.mark.thorough
def test_the_wheel_alone_works_from_python(alone):
    alone("python", "-c", IN_PYTHON)
    assert "No module named 'pandas'" in alone.run("python", "-c", "import pandas").stderr  # else nothing is shown


@pytest.mark.thorough
def test_the_wheel_alone_works_as_a_command(alone):
    rows = "".join(f"{i / 40},{(i * 7 % 40) / 40},{i / 20 - (i * 7 % 40) / 40}\n" for i in range(40))
    (alone.home / "table.csv").write_text("a,b,y\n" + rows)
    small = ["--width", "3", "--depth", "2", "--dynamics", "plain", "--restarts", "1", "--max-iter", "3", "--quiet"]
    alone("numdl", "fit", "table.csv", "--target", "y", "--out", "run", *small)
    assert len(alone("numdl", "predict", "run", "table.csv").splitlines()) == 41
    alone("numdl", "check", "run", "table.csv", "--out", "check.html")
    alone("numdl", "experiment", "run", "semi-convergence", "--quick", "--out", "experiments")
    alone("numdl", "course", "build", "--out", "site")
    assert (alone.home / "site" / "index.html").exists()
    assert (alone.home / "check.html").exists() and any((alone.home / "experiments").rglob("*.json"))
    assert alone("python", "-m", "numdl", "--version") == f"numdl {numdl.__version__}\n"
