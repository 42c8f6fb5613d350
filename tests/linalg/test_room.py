"""The room offers what its parts hold, and loads none of them before it is used."""

import subprocess
import sys
from pathlib import Path

import pytest

import numdl.linalg
from numdl.linalg import _HOMES


def test_every_public_name_is_found_where_it_lives():
    for name in numdl.linalg.__all__:
        assert getattr(numdl.linalg, name).__name__ == name
    assert {name for names in _HOMES.values() for name in names} < set(numdl.linalg.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Matrix'"):
        numdl.linalg.Matrix  # noqa: B018


def test_no_lazy_name_is_that_of_a_module():
    modules = {path.stem for path in Path(numdl.linalg.__file__).parent.iterdir()}
    assert not modules & {name for names in _HOMES.values() for name in names}


def test_nothing_heavy_is_loaded_with_the_room():
    code = "import sys, numdl.linalg; assert not {'lineax', 'scipy.sparse.linalg'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
