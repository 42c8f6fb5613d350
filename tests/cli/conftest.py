"""Small files to learn from, and the command as a function."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from flats import table, write_csv


@pytest.fixture
def numdl(capsys):
    """Run ``numdl`` with some arguments: exit code, standard output and standard error."""
    from numdl.cli import main

    def run(*args):
        code = main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    return run


@pytest.fixture
def stand_in(monkeypatch):
    """Fits at once, with the interface of the real estimators; the page is one line."""
    import stand_in

    from numdl import estimators
    from numdl.cli import fit, models
    from numdl.estimators.common import codec, saving

    monkeypatch.setattr(fit, "write_page", lambda summary, path: path.write_text(summary.title))

    for name in ("MOST_ROWS", "CLASS_ROWS"):  # so that networks are what is chosen
        monkeypatch.setattr(models, name, 0)

    for name in ("ResNetRegressor", "ResNetClassifier"):
        getattr(estimators, name)  # known to the codec before the stand-in takes its place
        kind = type(name, (getattr(stand_in, name), saving.SaveMixin), {})
        monkeypatch.setitem(codec.ESTIMATORS, name, kind)
        monkeypatch.setattr(estimators, name, kind)
    return SimpleNamespace(Regressor=estimators.ResNetRegressor, Classifier=estimators.ResNetClassifier)


@pytest.fixture
def real_page(monkeypatch, stand_in):
    """The whole page, in spite of the stand-in."""
    from numdl.cli import fit
    from numdl.report import write_page

    monkeypatch.setattr(fit, "write_page", write_page)


@pytest.fixture
def csv_file(tmp_path):
    return write_csv(tmp_path / "flats.csv", table())
