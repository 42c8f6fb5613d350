"""Compilation cache: are programs found again, whoever is killed, and does the folder stay small?"""

import os
import subprocess
import sys

import pytest

from numdl.contracts import compilation_cache as module
from numdl.contracts.compilation_cache import compilation_cache

SCRIPT = """
import sys
from numdl.contracts.compilation_cache import compilation_cache
if sys.argv[2] == "late":
    import jax
print(compilation_cache(sys.argv[1]))
import jax
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None)
print(jax.jit(lambda x: (x**3).sum())(jax.numpy.arange(6.0)), len(hits))
"""


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A folder, with JAX not told."""
    monkeypatch.setattr(module, "_tell", lambda own: None)
    monkeypatch.setattr(module, "_taken", lambda: False)
    monkeypatch.setattr(module, "_kept", [])
    monkeypatch.setattr(module.atexit, "register", lambda *_: None)
    return compilation_cache(tmp_path / "cache")


@pytest.mark.thorough
@pytest.mark.parametrize("when", ["early", "late"])
def test_the_next_process_finds_what_one_compiled(when, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NUMDL", "JAX_COMP"))}
    said = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path), when],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        for _ in range(2)
    ]
    first, second = ([*each.stdout.split()] for each in said)
    assert first[0] == second[0] and first[0].startswith(str(tmp_path))
    assert first[1] == second[1] == "225.0"
    assert first[2] == "0" and int(second[2]) > 0
    assert all(each.stderr == "" for each in said)


def test_what_is_new_is_published_whole_and_the_own_folder_goes(shared):
    own = module._opened(shared)
    (own / "a-cache").write_bytes(b"program")
    assert not (shared / "a-cache").exists()  # a process that is killed now leaves nothing half done
    module._publish(own, shared)
    assert (shared / "a-cache").read_bytes() == b"program" and not own.exists()


def test_two_at_once_see_what_was_common_and_publish_both(shared):
    (shared / "old-cache").write_bytes(b"0")
    one, two = module._opened(shared), module._opened(shared)
    assert (one / "old-cache").read_bytes() == (two / "old-cache").read_bytes() == b"0"
    (one / "a-cache").write_bytes(b"1")
    (two / "a-cache").write_bytes(b"2")
    (two / "b-cache").write_bytes(b"3")
    module._publish(one, shared)
    module._publish(two, shared)
    assert {entry.name: entry.read_bytes() for entry in shared.glob("*-cache")} == {
        "old-cache": b"0",
        "a-cache": b"1",
        "b-cache": b"3",
    }


def test_what_was_not_used_for_longest_goes_first(shared, monkeypatch):
    for i in range(5):
        (shared / f"{i}-cache").write_bytes(bytes(10))
        os.utime(shared / f"{i}-cache", (1000 - i, 1000 - i))
    monkeypatch.setattr(module, "MOST", 30)
    module._publish(module._opened(shared), shared)
    assert sorted(entry.name for entry in shared.glob("*-cache")) == ["0-cache", "1-cache", "2-cache"]


def test_a_folder_left_behind_goes_and_a_living_one_stays(shared):
    dead, living = module._opened(shared), module._opened(shared)
    os.utime(dead, (1000, 1000))
    module._opened(shared)
    assert living.exists() and not dead.exists()


def test_nothing_is_kept_where_that_cannot_be(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_tell", lambda own: pytest.fail("JAX was told"))
    monkeypatch.setattr(module, "_taken", lambda: False)
    monkeypatch.setattr(module, "_kept", [])
    (tmp_path / "file").write_text("")
    assert compilation_cache(tmp_path / "file") is None
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links")))
    folder = tmp_path / "cache" / module._kind()
    folder.mkdir(parents=True)
    (folder / "a-cache").write_bytes(b"1")
    assert compilation_cache(tmp_path / "cache") is None
    assert [entry.name for entry in folder.iterdir()] == ["a-cache"]
    monkeypatch.setattr(module, "_taken", lambda: True)
    assert compilation_cache(tmp_path / "cache") is None
