"""Every operator once per boundary, method and edge size, each with its matrix written entry by entry."""

import lineax as lx
import numpy as np

from numdl.linalg.operators import (
    BlockDiagonal,
    Circulant,
    Convolution1D,
    Convolution2D,
    Diagonal,
    Difference,
    ImageGradient,
    ImageLaplacian,
    Kronecker,
    Mask,
    MMatrix,
)

RNG = np.random.default_rng(0)


def beyond(i, n, boundary):
    """Point of the grid whose value stands at i, None where it is zero."""
    if boundary == "periodic":
        return i % n
    if boundary == "neumann":
        i = i % (2 * n)
        return i if i < n else 2 * n - 1 - i
    return i if 0 <= i < n else None


def convolution_matrix(kernel, grid, boundary):
    matrix = np.zeros((np.prod(grid), np.prod(grid)))
    centre = [m // 2 for m in kernel.shape]
    for out in np.ndindex(*grid):
        for j in np.ndindex(*kernel.shape):
            at = [beyond(i - k + c, n, boundary) for i, k, c, n in zip(out, j, centre, grid, strict=True)]
            if None not in at:
                matrix[np.ravel_multi_index(out, grid), np.ravel_multi_index(at, grid)] += kernel[j]
    return matrix


def difference_matrix(n, h, order, boundary):
    if order == 2:
        matrix = np.zeros((n, n))
        for i in range(n):
            for j, weight in ((i - 1, 1), (i, -2), (i + 1, 1)):
                at = beyond(j, n, boundary)
                if at is not None:
                    matrix[i, at] += weight / h**2
        return matrix
    pairs = {
        "neumann": [(i, i + 1) for i in range(n - 1)],
        "dirichlet": [(i, i + 1) for i in range(-1, n)],
        "periodic": [(i, (i + 1) % n) for i in range(n)],
    }[boundary]
    matrix = np.zeros((len(pairs), n))
    for row, (i, j) in enumerate(pairs):
        if i >= 0:
            matrix[row, i] -= 1 / h
        if j < n:
            matrix[row, j] += 1 / h
    return matrix


def image_matrices(grid, h, order, boundary):
    """Differences along each axis, from the line's matrix and indices."""
    found = []
    for axis in (0, 1):
        line = difference_matrix(grid[axis], h, order, boundary)
        shape = (line.shape[0], grid[1]) if axis == 0 else (grid[0], line.shape[0])
        matrix = np.zeros((np.prod(shape), np.prod(grid)))
        for out in np.ndindex(*shape):
            for k in range(grid[axis]):
                at = (k, out[1]) if axis == 0 else (out[0], k)
                matrix[np.ravel_multi_index(out, shape), np.ravel_multi_index(at, grid)] += line[out[axis], k]
        found.append(matrix)
    return found


def m_matrix(coupling, margin, least):
    n = len(margin)
    matrix = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                matrix[i, j] = -np.log1p(np.exp(coupling[i, j]))
        matrix[i, i] = least + np.log1p(np.exp(margin[i])) - matrix[i].sum()
    return matrix


def kronecker_matrix(a, b):
    matrix = np.zeros((a.shape[0] * b.shape[0], a.shape[1] * b.shape[1]))
    for i, j, k, l in np.ndindex(*a.shape, *b.shape):
        matrix[i * b.shape[0] + k, j * b.shape[1] + l] = a[i, j] * b[k, l]
    return matrix


def block_matrix(blocks):
    matrix = np.zeros(np.sum([block.shape for block in blocks], axis=0))
    row = column = 0
    for block in blocks:
        matrix[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return matrix


def catalogue():
    cases = {}
    for n in (1, 7):
        values = RNG.normal(size=n)
        cases[f"diagonal-{n}"] = Diagonal(values), np.diag(values)
        circulant = np.array([[values[(i - j) % n] for j in range(n)] for i in range(n)])
        cases[f"circulant-{n}"] = Circulant(values), circulant
        coupling, margin = 3 * RNG.normal(size=(n, n)), 3 * RNG.normal(size=n)
        cases[f"m-matrix-{n}"] = MMatrix(coupling, margin, least=0.1), m_matrix(coupling, margin, 0.1)
        for boundary in ("neumann", "dirichlet", "periodic"):
            for order in (1, 2):
                operator = Difference(n, 0.3, order=order, boundary=boundary)
                cases[f"difference-{n}-{order}-{boundary}"] = operator, difference_matrix(n, 0.3, order, boundary)
    for boundary in ("zero", "neumann", "periodic"):
        for method in ("fft", "direct"):
            options = {"method": method, "boundary": boundary}
            for n, m in ((1, 3), (6, 4), (4, 13)):
                kernel = RNG.normal(size=m)
                operator = Convolution1D(kernel, n, **options)
                matrix = convolution_matrix(kernel, (n,), boundary)
                cases[f"convolution-{n}-{m}-{boundary}-{method}"] = operator, matrix
            for grid, size in (((4, 3), (3, 2)), ((2, 2), (5, 3))):
                kernel = RNG.normal(size=size)
                operator = Convolution2D(kernel, grid, **options)
                matrix = convolution_matrix(kernel, grid, boundary)
                cases[f"convolution-{grid}-{size}-{boundary}-{method}"] = operator, matrix
    for boundary in ("neumann", "dirichlet", "periodic"):
        for grid in ((1, 2), (4, 3)):
            first, second = image_matrices(grid, 0.5, 1, boundary)
            operator = ImageGradient(grid, 0.5, boundary=boundary)
            cases[f"gradient-{grid}-{boundary}"] = operator, np.vstack([first, second])
            first, second = image_matrices(grid, 0.5, 2, boundary)
            cases[f"laplacian-{grid}-{boundary}"] = ImageLaplacian(grid, 0.5, boundary=boundary), first + second
        sides = [0.2, 0.5]
        for order, kind in ((1, ImageGradient), (2, ImageLaplacian)):
            first = image_matrices((4, 3), sides[0], order, boundary)[0]
            second = image_matrices((4, 3), sides[1], order, boundary)[1]
            matrix = np.vstack([first, second]) if order == 1 else first + second
            cases[f"{kind.__name__}-sides-{boundary}"] = kind((4, 3), sides, boundary=boundary), matrix
    a, b = RNG.normal(size=(2, 3)), RNG.normal(size=(4, 2))
    both = [lx.MatrixLinearOperator(np.asarray(matrix)) for matrix in (a, b)]
    cases["kronecker"] = Kronecker(*both), kronecker_matrix(a, b)
    cases["blocks"] = BlockDiagonal((*both, Difference(3))), block_matrix([a, b, difference_matrix(3, 1, 1, "neumann")])
    for index, n in (([3, 0, 4], 5), ([], 2), ([0], 1)):
        seen = np.zeros((len(index), n))
        seen[range(len(index)), index] = 1
        cases[f"mask-{len(index)}-{n}"] = Mask(np.array(index, int), n), seen
    return cases


CATALOGUE = catalogue()
