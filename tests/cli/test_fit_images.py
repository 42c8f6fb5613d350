"""``numdl fit`` and ``predict`` on images: folders, IDX, arrays; what cannot be used is refused by its file's name."""

import csv
import gzip
import io
import struct
import zipfile

import numpy as np
import pytest

from numdl import load
from numdl.cli import images as command
from numdl.cli.errors import UserError
from numdl.cli.options import FitOptions
from numdl.data.read.pictures import read_pictures
from numdl.estimators.patches import search
from numdl.report.summary import read_summary

Image = pytest.importorskip("PIL.Image")


def squares(n=48, seed=0, side=12):
    """Images with a square that is full or hollow, and which it is."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 60, (n, side, side), dtype=np.uint8)
    y = np.arange(n) % 2
    for image, hollow in zip(x, y, strict=True):
        i, j = rng.integers(0, side - 6, 2)
        image[i : i + 6, j : j + 6] = 220
        if hollow:
            image[i + 2 : i + 4, j + 2 : j + 4] = 20
    return x, y


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def few(monkeypatch):
    """Few filters."""
    monkeypatch.setattr(search, "FIRST", 16)
    monkeypatch.setattr(search, "MOST", 16)


@pytest.fixture
def no_page(monkeypatch, few):
    """The page is one line; that of estimators has its test."""
    monkeypatch.setattr(command, "write_page", lambda summary, path: path.write_text(summary.title))


@pytest.fixture
def folder(tmp_path):
    x, y = squares()
    for name in ("full", "hollow"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for i, (image, label) in enumerate(zip(x, y, strict=True)):
        ending = "png" if i % 3 else "bmp"
        Image.fromarray(image).save(tmp_path / "data" / ("full", "hollow")[label] / f"{i:02}.{ending}")
    (tmp_path / "data" / "full" / "notes.txt").write_text("no picture")
    (tmp_path / "data" / "full" / ".DS_Store").write_text("hidden")
    return tmp_path / "data"


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_folder_becomes_a_run_that_names_the_class_of_a_picture(numdl, no_page, folder, tmp_path):
    end = numdl("fit", folder, "--out", tmp_path / "run")
    assert end.code == 0
    for word in (
        "48 images of 12 x 12, grey",
        "2 classes",
        "43 training, 5 test",
        "Left out: 1 files",
    ):
        assert word in end.out
    assert (tmp_path / "run" / "report.html").read_text() == "label from data"
    summary = read_summary(tmp_path / "run" / "summary.numdl")
    assert summary.class_names == ("full", "hollow") and summary.scores[1].get("name") == "most frequent class"
    found = rows(numdl("predict", tmp_path / "run", folder).out)
    assert len(found) == 48 and found[0]["picture"] in ("full/00.bmp", "full\\00.bmp")
    right = [one["picture"].startswith(one["label"]) for one in found]
    assert np.mean(right) > 0.8
    (one,) = rows(numdl("predict", tmp_path / "run", folder / "hollow" / "01.png").out)
    assert abs(float(one["probability_full"]) + float(one["probability_hollow"]) - 1) < 1e-9
    colour = Image.open(folder / "hollow" / "01.png").convert("RGB")
    colour.save(tmp_path / "colour.png")
    (other,) = rows(numdl("predict", tmp_path / "run", tmp_path / "colour.png").out)
    np.testing.assert_allclose(float(other["probability_full"]), float(one["probability_full"]), atol=1e-5)
    assert "48 x" not in numdl("info", tmp_path / "run").out
    refused = numdl("export", tmp_path / "run", "--to", "c")
    assert refused.code == 1 and "Traceback" not in refused.err


def test_the_model_of_a_given_time(numdl, no_page, tmp_path):
    x, y = squares()
    np.savez(tmp_path / "all.npz", x=x, y=np.array(["full", "hollow"])[y], size=y + np.linspace(0, 1, 48))
    words = ("fit", tmp_path / "all.npz", "--model", "images", "--time", "20s", "--out", tmp_path / "run")
    assert numdl(*words, "--target", "y").code == 0
    model = load(tmp_path / "run" / "model.numdl")
    assert type(model).__name__ == "ImageClassifier" and model.time_budget == 20
    refused = numdl(*words, "--target", "size", "--overwrite")
    assert refused.code == 1 and "--model images: this is for classes" in refused.err


def test_idx_with_labels_and_arrays_with_a_target(numdl, no_page, tmp_path):
    x, y = squares(60)
    (tmp_path / "images.gz").write_bytes(gzip.compress(idx(x)))
    (tmp_path / "labels.gz").write_bytes(gzip.compress(idx(y.astype(np.uint8))))
    np.savez(tmp_path / "all.npz", x=x, y=np.array(["full", "hollow"])[y], size=y + np.linspace(0, 1, 60))
    words = ("fit", tmp_path / "images.gz", "--labels", tmp_path / "labels.gz", "--seed", "1")
    assert numdl(*words, "--out", tmp_path / "a", "--quiet").code == 0
    found = rows(numdl("predict", tmp_path / "a", tmp_path / "images.gz").out)
    assert (
        found[4]["picture"] == "5" and np.mean([int(one["label"]) == c for one, c in zip(found, y, strict=True)]) > 0.8
    )
    assert numdl("fit", tmp_path / "all.npz", "--target", "y", "--out", tmp_path / "b", "--seed", "1").code == 0
    one, other = (load(tmp_path / run / "model.numdl") for run in "ab")
    np.testing.assert_allclose(one.predict_proba(x), other.predict_proba(x), atol=1e-6)
    end = numdl("fit", tmp_path / "all.npz", "--target", "size", "--out", tmp_path / "c")
    assert end.code == 0 and "regression" in end.out
    assert "size" in rows(numdl("predict", tmp_path / "c", tmp_path / "all.npz").out)[0]
    assert numdl(*words, "--out", tmp_path / "a").code == 1  # the folder is used


def spoil(folder, case):
    """A folder with one thing wrong, and what has to be said of it."""
    full, one = folder / "full", folder / "full" / "08.png"
    if case == "size":
        Image.new("L", (9, 12)).save(one)
        return "full/08.png has 12 x 9 pixels", "--size 12x12"
    if case == "channels":
        Image.new("RGB", (12, 12)).save(one)
        return "full/08.png is in colours", "convert it"
    if case == "depth":
        Image.fromarray(np.zeros((12, 12), np.uint16)).save(one)
        return "full/08.png has pixels of kind I;16", "8 bits"
    if case == "transparent":
        Image.new("RGBA", (12, 12), (0, 0, 0, 9)).save(one)
        return "full/08.png is transparent", "background"
    if case == "truncated":
        one.write_bytes(one.read_bytes()[:60])
        return "full/08.png is damaged, cut off", "remove"
    if case == "no picture":
        one.write_text("hello")
        return "full/08.png is damaged, cut off or no picture", "remove"
    if case == "empty class":
        (folder / "nothing").mkdir()
        return "data/nothing holds no pictures", "remove this class"
    if case == "one class":
        full.rename(folder.parent / "elsewhere")
        return "one class only (hollow)", "two folders"
    if case == "beside":
        Image.new("L", (12, 12)).save(folder / "stray.png")
        return "(stray.png, ...) beside folders (full, ...)", "folder of its class"
    return "", ""


CASES = ("size", "channels", "depth", "transparent", "truncated", "no picture", "empty class", "one class", "beside")


@pytest.mark.quick("size", "truncated", "empty class")
@pytest.mark.parametrize("case", CASES)
def test_a_folder_that_cannot_be_used_is_refused_by_name(numdl, folder, tmp_path, case):
    told, hint = spoil(folder, case)
    end = numdl("fit", folder, "--out", tmp_path / "run")
    assert end.code == 1 and end.err.startswith("Error: numdl fit")
    assert told in end.err.replace("\\", "/") and hint in end.err
    assert not (tmp_path / "run").exists()


def test_pictures_of_several_sizes_are_brought_to_one(numdl, no_page, folder, tmp_path):
    for path in sorted((folder / "hollow").iterdir())[:5]:
        Image.open(path).resize((24, 24), Image.Resampling.NEAREST).save(path)
    assert numdl("fit", folder, "--size", "12x12", "--out", tmp_path / "run").code == 0
    end = numdl("predict", tmp_path / "run", folder / "hollow")
    assert end.code == 0 and len(rows(end.out)) == 24


def test_what_images_have_not_is_refused(numdl, folder, no_page, tmp_path):
    np.savez(tmp_path / "two.npz", x=np.zeros((5, 3, 3)), z=np.zeros((5, 3, 3)), y=np.zeros(5))
    np.savez(tmp_path / "one.npz", x=np.zeros((5, 3, 3)), y=np.zeros(5))
    (tmp_path / "x.idx").write_bytes(idx(squares(12)[0]))
    (tmp_path / "y.idx").write_bytes(idx(np.zeros(11, np.uint8)))
    cases = {
        (folder, "--width", "3"): "--width: images have no such setting",
        (folder, "--model", "resnet"): "this is for tables",
        (folder, "--resume"): "done in one go",
        (folder, "--size", "big"): "needed is HEIGHTxWIDTH",
        (tmp_path / "x.idx",): "name the file of labels with --labels",
        (tmp_path / "x.idx", "--labels", tmp_path / "y.idx"): "a label for each of the 12 images",
        (tmp_path / "two.npz", "--target", "y"): "needed is one array (n, height, width)",
        (tmp_path / "one.npz", "--target", "q"): "has no array 'q'",
        (tmp_path / "one.npz",): "name the array of labels with --target; with a row for each image there is y",
        (folder / "full",): "put pictures into one folder for each class",
        (tmp_path / "none", "--labels", tmp_path / "y.idx"): "there is no",
    }
    for words, told in cases.items():
        end = numdl("fit", *words, "--out", tmp_path / "run")
        assert end.code == 1 and told in end.err, (words, end.err)
        assert not (tmp_path / "run").exists()
    assert numdl("fit", folder, "--out", tmp_path / "run", "--quiet").code == 0
    Image.new("L", (13, 12)).save(tmp_path / "wide.png")
    end = numdl("predict", tmp_path / "run", tmp_path / "wide.png")
    assert end.code == 1 and "those of the fit were 12 x 12" in end.err
    for words in (["--std"], ["--keep"], ["--sheet", "2"], ["--na", "-9"]):
        assert (
            f"{words[0]}: this is for tables" in numdl("predict", tmp_path / "run", tmp_path / "wide.png", *words).err
        )


def test_what_arrays_of_targets_are(tmp_path):
    """Labels in a column are labels, many whole numbers are numbers, and coded classes are asked about."""
    x, y = squares(200)
    ages = np.arange(200) % 90

    def task(**arrays):
        np.savez(tmp_path / "a.npz", x=x, **arrays)
        return command._read(tmp_path / "a.npz", FitOptions(("y",)))

    found, kind = task(y=y[:, None])
    assert kind == "classification" and found.y.shape == (200,)
    assert task(y=ages)[1] == "regression" and task(y=ages[:, None])[1] == "regression"
    assert task(y=np.stack([ages, ages], 1))[1] == "regression"
    with pytest.raises(UserError, match=r"save labels instead, y.argmax\(axis=1\)"):
        task(y=np.eye(2, dtype=int)[y])
    (tmp_path / "x.idx").write_bytes(idx(x))
    (tmp_path / "y.idx").write_bytes(idx(ages.astype(np.uint8)))
    assert command._read(tmp_path / "x.idx", FitOptions((), labels=str(tmp_path / "y.idx")))[1] == "classification"


def test_pictures_say_how_they_are_meant(folder, tmp_path):
    turned = Image.new("L", (14, 10))
    turned.putpixel((3, 1), 200)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    (pixels,) = read_pictures("fit", tmp_path / "turned.png").x
    assert pixels.shape == (14, 10, 1) and np.argwhere(pixels[..., 0] == 200).tolist() == [[3, 8]]
    pages = [Image.new("L", (8, 8), shade) for shade in (0, 90)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    Image.new("L", (8, 8)).save(tmp_path / "clear.png", transparency=0)
    for name, told in (("pages.tif", "holds several pictures"), ("clear.png", "transparent in part")):
        with pytest.raises(ValueError, match=f"{name} .*{told}"):
            read_pictures("fit", tmp_path / name)
    Image.new("RGB", (12, 12)).save(tmp_path / "red.png")
    assert "1 of 1 pictures are brought to grey" in read_pictures("p", tmp_path / "red.png", known=(12, 12, 1)).notes[0]
    with pytest.raises(ValueError, match="this is for images in IDX"):
        read_pictures("fit", folder, labels=tmp_path / "none")


def test_pixels_that_are_no_numbers_are_refused_by_their_file(numdl, no_page, tmp_path):
    """The image is that of the file, before any is held out."""
    (x, y), bad, run = squares(60), tmp_path / "bad.npz", tmp_path / "run"
    np.savez(tmp_path / "good.npz", x=x, y=y)
    assert numdl("fit", tmp_path / "good.npz", "--target", "y", "--out", run, "--quiet").code == 0
    x = x[..., None].astype(float)
    x[30, 2, 7], x[40, 0, 0] = np.nan, np.inf
    np.savez(bad, x=x, y=y)
    for words in (
        ("fit", bad, "--target", "y", "--out", tmp_path / "other"),
        ("predict", run, bad),
        ("check", run, bad),
    ):
        end = numdl(*words)
        assert end.code == 1 and f"numdl {words[0]}: x in {bad} holds nan in image 31, row 3, column 8" in end.err


def test_hostile_archives_are_refused_by_name(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((5, 3, 3)), y=np.zeros(5))
    whole = path.read_bytes()
    at = whole.index(b"PK\x01\x02")
    for offset, value in ((8, b"\x01\x00"), (10, b"\x63\x00")):  # encrypted, and packed by an unknown method
        path.write_bytes(whole[: at + offset] + value + whole[at + offset + 2 :])
        with pytest.raises(ValueError, match=r"cannot be read .*save it again"):
            read_pictures("fit", path, target="y")
    with zipfile.ZipFile(path, "w") as archive, archive.open("x.npy", "w") as file:
        told = {"descr": "<f8", "fortran_order": False, "shape": (10**13, 3, 3)}
        np.lib.format.write_array_header_1_0(file, told)
    with pytest.raises(ValueError, match="more than 4 GiB"):
        read_pictures("fit", path)
    (tmp_path / "x.idx").write_bytes(idx(squares(12)[0]))
    with pytest.raises(UserError, match="only pictures in files are brought to a size"):
        command._read(tmp_path / "x.idx", FitOptions((), size=(4, 4)))
