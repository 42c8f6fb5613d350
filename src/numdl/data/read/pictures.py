"""Collections of images with their classes: a folder for each class, IDX, or arrays in one file.

Which files hold images, and which of them cannot be used? Everything that is refused is refused by the name of its
file, before any work.
"""

from __future__ import annotations

import gzip
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numdl.data.read.extras import needed
from numdl.data.read.images import read_idx

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
"""Files in folders that are taken for pictures."""

IDX_PIXELS = b"\0\0\x08"
"""How an IDX file of bytes begins; the number of dimensions follows."""

MOST = 2**32
"""Bytes of all pixels at most."""


class Pictures(NamedTuple):
    """Images, and what is known of them.

    Attributes:
        x: pixels, (n, H, W, C).
        y: labels or numbers, (n,) or (n, k); None where there are none.
        names: of the files, or numbers from 1, (n,), text.
        notes: sentences the user should see.
    """

    x: np.ndarray
    y: np.ndarray | None
    names: list[str]
    notes: list[str]


def kind_of_images(path: Path) -> str:
    """What a path holds, by its content.

    Args:
        path: file or folder.

    Returns:
        "folder", "picture", "idx" or "arrays"; "" where it holds no images, as far as one sees.
    """
    if path.is_dir():
        return "folder"
    if path.suffix.lower() in ENDINGS:
        return "picture"
    try:
        if path.suffix.lower() == ".npz":
            return "arrays" if any(len(shape) >= 3 for shape in _shapes(path).values()) else ""
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            start = file.read(4)
        if start[:2] == b"\x1f\x8b":
            with gzip.open(path) as file:
                start = file.read(4)
        return "idx" if start[:3] == IDX_PIXELS and len(start) == 4 and start[3] in (3, 4) else ""
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):
        return ""


def read_pictures(
    call: str, path: Path, *, labels: Path | None = None, target: str | None = None, size: Any = None, known: Any = None
) -> Pictures:
    """Images from wherever they are.

    Args:
        call: the call to name.
        path: a folder with one folder for each class, a folder of pictures, a picture, IDX, or arrays in one .npz.
        labels: file of labels beside IDX.
        target: name of the array of labels beside arrays.
        size: (height, width) to which pictures are brought; None where they have one size.
        known: (height, width, channels) that pictures need to have; None for whatever they have.

    Returns:
        The images.

    Raises:
        ValueError: a file cannot be used, by name.
        OSError: it cannot be opened.
    """
    kind = kind_of_images(path)
    if not kind and not path.exists():
        raise ValueError(f"{call}: there is no {str(path)!r}; check the name and the folder.")
    if not kind and path.suffix.lower() == ".npz":
        kind = "arrays"
    if kind == "folder":
        found = _folder(call, path)
        return _opened(call, *found, size=size, known=known)
    if kind == "picture":
        return _opened(call, [path], None, [path.name], [], size=size, known=known)
    if kind == "arrays":
        return _arrays(call, path, target)
    x = read_idx(path)
    if x.ndim not in (3, 4):
        raise ValueError(f"{call}: {path} holds no images; give IDX of three dimensions, a folder, or .npz.")
    y = None
    if labels is not None:
        y = read_idx(labels)
        if y.ndim != 1 or len(y) != len(x):
            raise ValueError(
                f"{call}: {labels} holds {' x '.join(map(str, y.shape))} entries, needed is a label for each of the "
                f"{len(x)} images in {path.name}; give the file of labels that belongs to them."
            )
    return Pictures(x if x.ndim == 4 else x[..., None], y, [str(i + 1) for i in range(len(x))], [])


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays in a file of NumPy, read from their headers."""
    shapes = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                major = np.lib.format.read_magic(file)[0]
                read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
                shapes[name.removesuffix(".npy")] = read(file)[0]
    return shapes


def _arrays(call: str, path: Path, target: str | None) -> Pictures:
    """Images and labels from one .npz."""
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{call}: {path} cannot be read ({error}); save it again with numpy.savez.") from None
    told = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    images = [name for name, array in arrays.items() if array.ndim in (3, 4) and name != target]
    if len(images) != 1:
        raise ValueError(f"{call}: {path} holds {told}; needed is one array (n, height, width) or with channels.")
    x, y = arrays[images[0]], None
    if target is not None:
        if target not in arrays:
            raise ValueError(f"{call}: {path} has no array {target!r} but {told}; name one with --target.")
        y = arrays[target]
        if y.ndim not in (1, 2) or len(y) != len(x):
            raise ValueError(f"{call}: {target!r} in {path} has shape {y.shape}, needed is a row for each of {len(x)}.")
    return Pictures(x if x.ndim == 4 else x[..., None], y, [str(i + 1) for i in range(len(x))], [])


def _folder(call: str, path: Path) -> tuple[list[Path], np.ndarray | None, list[str], list[str]]:
    """Pictures of a folder: by class where there are folders in it, else without classes."""

    def inside(folder: Path) -> tuple[list[Path], int]:
        files = sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))
        pictures = [one for one in files if one.suffix.lower() in ENDINGS]
        return pictures, len(files) - len(pictures)

    classes = sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))
    here, others = inside(path)
    if classes and here:
        raise ValueError(
            f"{call}: {path} holds pictures ({here[0].name}, ...) beside folders ({classes[0].name}, ...); put each "
            "picture into the folder of its class."
        )
    if not classes:
        if not here:
            raise ValueError(f"{call}: {path} holds no pictures ({', '.join(ENDINGS)}); give another folder.")
        return here, None, [one.name for one in here], _left(others)
    files, labels = [], []
    for folder in classes:
        pictures, more = inside(folder)
        if not pictures:
            raise ValueError(f"{call}: the folder {folder} holds no pictures; fill it, or remove this class.")
        files += pictures
        labels += [folder.name] * len(pictures)
        others += more
    if len(classes) < 2:
        raise ValueError(f"{call}: {path} has one class only ({classes[0].name}); needed are two folders or more.")
    return files, np.array(labels), [os.path.join(one.parent.name, one.name) for one in files], _left(others)


def _left(others: int) -> list[str]:
    return [f"{others} files are no pictures by their names and are left out."] if others else []


def _opened(
    call: str, files: list[Path], y: np.ndarray | None, names: list[str], notes: list[str], *, size: Any, known: Any
) -> Pictures:
    """Pixels of files."""
    library = needed(call, "PIL.Image", "images", "pictures", "give arrays in one .npz")
    first = files[0]
    x: Any = None
    for i, file in enumerate(files):
        pixels = _pixels(call, library, file, size, None if known is None else known[2])
        if known is not None and pixels.shape[:2] != tuple(known[:2]):
            raise ValueError(
                f"{call}: {file} has {pixels.shape[0]} x {pixels.shape[1]} pixels, those of the fit were {known[0]} x "
                f"{known[1]}; needed is that size: bring it to it."
            )
        if i == 0:
            if len(files) * pixels.size > MOST:
                raise ValueError(
                    f"{call}: {len(files)} pictures of {pixels.shape[0]} x {pixels.shape[1]} are more than "
                    f"{MOST >> 30} GiB; bring them to a smaller size with --size 64x64."
                )
            x = np.empty((len(files), *pixels.shape), np.uint8)
        if pixels.shape[:2] != x.shape[1:3]:
            raise ValueError(
                f"{call}: {file} has {pixels.shape[0]} x {pixels.shape[1]} pixels and {first} {x.shape[1]} x "
                f"{x.shape[2]}; needed is one size: bring them to one with --size {_usual(x.shape)}."
            )
        if pixels.shape[2] != x.shape[3]:
            kinds = {1: "grey", 3: "in colours"}
            raise ValueError(
                f"{call}: {file} is {kinds[pixels.shape[2]]} and {first} {kinds[x.shape[3]]}; needed are pictures of "
                "one kind: convert it."
            )
        x[i] = pixels
    return Pictures(x, y, names, notes)


def _usual(shape: tuple[int, ...]) -> str:
    return f"{min(shape[1], 64)}x{min(shape[2], 64)}"


def _pixels(call: str, library: Any, file: Path, size: Any, channels: int | None) -> np.ndarray:
    """One picture, (H, W, 1 or 3), uint8."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", library.DecompressionBombWarning)
            with library.open(file) as picture:
                picture.load()
                mode = picture.mode
                if mode in ("P", "1", "LA", "PA", "RGBA"):
                    seen = picture.convert("RGBA").getchannel("A").getextrema()[0] == 255
                    if not seen:
                        raise ValueError(f"{call}: {file} is transparent in part; put it on a background first.")
                    picture = picture.convert("L" if mode in ("1", "LA") else "RGB")
                elif mode not in ("L", "RGB"):
                    raise ValueError(f"{call}: {file} has pixels of kind {mode}; convert it to 8 bits, grey or RGB.")
                if channels in (1, 3):
                    picture = picture.convert("L" if channels == 1 else "RGB")
                if size is not None:
                    picture = picture.resize((size[1], size[0]), library.Resampling.BOX, reducing_gap=None)
                pixels = np.asarray(picture, np.uint8)
    except FileNotFoundError:
        raise ValueError(f"{call}: there is no {str(file)!r}; check the name.") from None
    except (OSError, SyntaxError, library.DecompressionBombError, library.DecompressionBombWarning) as error:
        raise ValueError(
            f"{call}: {file} is damaged, cut off or no picture ({' '.join(str(error).split())}); replace or remove it."
        ) from None
    return pixels[..., None] if pixels.ndim == 2 else pixels
