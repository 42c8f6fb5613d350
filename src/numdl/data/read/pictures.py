"""Collections of images with their classes: a folder for each class, IDX, or arrays in one file.

Which files hold images, and which of them cannot be used? Everything that is refused is refused by the name of its
file, before any work.
"""

from __future__ import annotations

import gzip
import math
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numdl.data.read.extras import needed
from numdl.data.read.images import MOST, read_idx

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
"""Files in folders that are taken for pictures."""

IDX_PIXELS = b"\0\0\x08"
"""How an IDX file of bytes begins; the number of dimensions follows."""

UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, MemoryError, zipfile.BadZipFile)
"""What a damaged, encrypted or oddly packed archive ends in."""


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
            return "arrays" if any(len(shape) >= 3 for shape, _ in _headers(path).values()) else ""
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            start = file.read(4)
        if start[:2] == b"\x1f\x8b":
            with gzip.open(path) as file:
                start = file.read(4)
        return "idx" if start[:3] == IDX_PIXELS and len(start) == 4 and start[3] in (3, 4) else ""
    except UNREADABLE:
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
    if labels is not None and kind != "idx":
        raise ValueError(f"{call} --labels {labels}: this is for images in IDX, which {path} is not; leave it out.")
    if not kind and path.suffix.lower() == ".npz":
        kind = "arrays"
    if kind == "folder":
        found = _folder(call, path)
        return _opened(call, *found, size=size, known=known)
    if kind == "picture":
        return _opened(call, [path], None, [_text(path.name)], [], size=size, known=known)
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


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shapes and types of the arrays in a file of NumPy, read from their headers."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                major = np.lib.format.read_magic(file)[0]
                read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
                shape, _, kind = read(file)
                found[name.removesuffix(".npy")] = shape, kind
    return found


def has_array(path: Path, name: str | None) -> bool:
    """Whether a .npz can be read and holds an array of this name.

    Args:
        path: the file.
        name: of the array.

    Returns:
        False for a file that cannot be read too.
    """
    try:
        return name in _headers(path)
    except UNREADABLE:
        return False


def rows_of_arrays(path: Path, n: int) -> list[str]:
    """Names of the arrays with a row for each image that could be their labels.

    Args:
        path: a file of NumPy, .npz.
        n: number of images.

    Returns:
        In the order of the file.
    """
    return [name for name, (shape, _) in _headers(path).items() if len(shape) in (1, 2) and shape[0] == n]


def _arrays(call: str, path: Path, target: str | None) -> Pictures:
    """Images and labels from one .npz."""
    try:
        headers = _headers(path)
    except UNREADABLE as error:
        raise ValueError(f"{call}: {path} cannot be read ({error}); save it again with numpy.savez.") from None
    told = ", ".join(f"{name} {shape}" for name, (shape, _) in headers.items())
    images = [name for name, (shape, _) in headers.items() if len(shape) in (3, 4) and name != target]
    if len(images) != 1:
        raise ValueError(f"{call}: {path} holds {told}; needed is one array (n, height, width) or with channels.")
    if target is not None and target not in headers:
        raise ValueError(f"{call}: {path} has no array {target!r} but {told}; name one with --target.")
    for name in images if target is None else (*images, target):
        shape, kind = headers[name]
        if math.prod(shape) * kind.itemsize > MOST:
            raise ValueError(
                f"{call}: {name} in {path} has shape {shape}, more than {MOST >> 30} GiB; give a part of it."
            )
    try:
        with np.load(path, allow_pickle=False) as content:
            x, y = content[images[0]], None if target is None else content[target]
    except UNREADABLE as error:
        raise ValueError(f"{call}: {path} cannot be read ({error}); save it again with numpy.savez.") from None
    if y is not None and (y.ndim not in (1, 2) or len(y) != len(x)):
        raise ValueError(f"{call}: {target!r} in {path} has shape {y.shape}, needed is a row for each of {len(x)}.")
    if x.dtype.kind == "f" and (bad := ~np.isfinite(x)).any():
        at = np.unravel_index(bad.argmax(), bad.shape)
        image, row, column = (int(i) + 1 for i in at[:3])
        raise ValueError(
            f"{call}: {images[0]} in {path} holds {x[at]:g} in image {image}, row {row}, column {column} (all from "
            "1); leave that image out, or fill its pixels."
        )
    return Pictures(x if x.ndim == 4 else x[..., None], y, [str(i + 1) for i in range(len(x))], [])


def _folder(call: str, path: Path) -> tuple[list[Path], np.ndarray | None, list[str], list[str]]:
    """Pictures of a folder: by class where there are folders in it, else without classes."""

    def inside(folder: Path, *, classes: bool = False) -> tuple[list[Path], int]:
        entries = [one for one in folder.iterdir() if not one.name.startswith(".")]
        files = sorted(one for one in entries if one.is_file())
        pictures = [one for one in files if one.suffix.lower() in ENDINGS]
        return pictures, (len(files) if classes else len(entries)) - len(pictures)

    classes = sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))
    here, others = inside(path, classes=True)
    if classes and here:
        raise ValueError(
            f"{call}: {path} holds pictures ({here[0].name}, ...) beside folders ({classes[0].name}, ...); put each "
            "picture into the folder of its class."
        )
    if not classes:
        if not here:
            raise ValueError(f"{call}: {path} holds no pictures ({', '.join(ENDINGS)}); give another folder.")
        return here, None, [_text(one.name) for one in here], _left(others)
    files, labels = [], []
    for folder in classes:
        pictures, more = inside(folder)
        if not pictures:
            raise ValueError(f"{call}: the folder {folder} holds no pictures; fill it, or remove this class.")
        files += pictures
        labels += [_text(folder.name)] * len(pictures)
        others += more
    if len(classes) < 2:
        raise ValueError(f"{call}: {path} has one class only ({classes[0].name}); needed are two folders or more.")
    names = [_text(os.path.join(one.parent.name, one.name)) for one in files]
    return files, np.array(labels), names, _left(others)


def _text(name: str) -> str:
    """A name as it can be written: bytes that are no text are shown."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _left(others: int) -> list[str]:
    return [f"Left out: {others} files or folders that are no pictures by their names."] if others else []


def _opened(
    call: str, files: list[Path], y: np.ndarray | None, names: list[str], notes: list[str], *, size: Any, known: Any
) -> Pictures:
    """Pixels of files."""
    library = needed(call, "PIL.Image", "images", "pictures", "give arrays in one .npz")
    first, converted = files[0], 0
    x: Any = None
    for i, file in enumerate(files):
        pixels, same = _pixels(call, library, file, size, None if known is None else known[2])
        converted += not same
        if known is not None and pixels.shape[:2] != tuple(known[:2]):
            raise ValueError(
                f"{call}: {file} has {pixels.shape[0]} x {pixels.shape[1]} pixels, those of the fit were {known[0]} x "
                f"{known[1]}; needed is that size: bring it to it."
            )
        if i == 0:
            if len(files) * pixels.size > MOST:
                raise ValueError(
                    f"{call}: {len(files)} pictures of {pixels.shape[0]} x {pixels.shape[1]} are more than "
                    f"{MOST >> 30} GiB; bring them to a smaller size with --size 48x48."
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
    if converted:
        kind = "grey" if x.shape[3] == 1 else "colours"
        notes = [*notes, f"{converted} of {len(files)} pictures are brought to {kind}, as those of the fit were."]
    return Pictures(x, y, names, notes)


def _usual(shape: tuple[int, ...]) -> str:
    return f"{min(shape[1], 48)}x{min(shape[2], 48)}"


def _pixels(call: str, library: Any, file: Path, size: Any, channels: int | None) -> tuple[np.ndarray, bool]:
    """One picture, (H, W, 1 or 3), uint8, upright; and whether it had so many channels already."""
    from PIL import ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", library.DecompressionBombWarning)
            with library.open(file) as opened:
                several = getattr(opened, "n_frames", 1) > 1
                opened.load()
                picture = ImageOps.exif_transpose(opened)
    except FileNotFoundError:
        raise ValueError(f"{call}: there is no {str(file)!r}; check the name.") from None
    except Exception as error:  # whatever a library for some thirty formats meets in damaged files
        raise ValueError(
            f"{call}: {file} is damaged, cut off or no picture ({' '.join(str(error).split())}); replace or remove it."
        ) from None
    if several:
        raise ValueError(f"{call}: {file} holds several pictures, one after the other; save the one that is meant.")
    mode, grey = picture.mode, ("1", "L", "LA")
    if mode in ("P", "1", "LA", "PA", "RGBA") or "transparency" in picture.info:
        if np.asarray(picture.convert("RGBA"))[..., 3].min() < 255:
            raise ValueError(f"{call}: {file} is transparent in part; put it on a background first.")
        picture = picture.convert("L" if mode in grey else "RGB")
    elif mode not in ("L", "RGB"):
        raise ValueError(f"{call}: {file} has pixels of kind {mode}; convert it to 8 bits, grey or RGB.")
    own = len(picture.getbands())
    if channels in (1, 3):
        picture = picture.convert("L" if channels == 1 else "RGB")
    if size is not None:
        picture = picture.resize((size[1], size[0]), library.Resampling.BOX, reducing_gap=None)
    pixels = np.asarray(picture, np.uint8)
    return pixels[..., None] if pixels.ndim == 2 else pixels, channels in (None, own)
