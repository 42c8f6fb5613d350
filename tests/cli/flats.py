"""A small table of flats: numbers, text, two targets and a class."""

import numpy as np


def table(n=60, seed=0):
    """Columns: area and floor are numbers, city is text, price and cost follow from them, kind is a class."""
    rng = np.random.default_rng(seed)
    area, floor = rng.uniform(20, 120, n), rng.integers(0, 9, n)
    city = rng.choice(["Bonn", "Jena", "Ulm"], n)
    price = 3 * area + 10 * floor + 50 * (city == "Jena") + rng.normal(size=n)
    kind = np.where(price > np.median(price), "dear", "cheap")
    return {"area": area, "floor": floor, "city": city, "price": price, "cost": 0.01 * price + 1, "kind": kind}


def write_csv(path, columns):
    rows = zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path
