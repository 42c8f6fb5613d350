"""Which comparison should run? ``python -m benchmarks NAME|all [--quick] [--ours-only|--theirs-only]``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path

from benchmarks._common import RESULTS, BenchmarkError, Run, command_line

NAMES = (
    "peaks",
    "surrogate",
    "classification",
    "uci",
    "memory",
    "softmax",
    "ridge",
    "deblurring",
    "random_features",
    "peaks_classes",
    "meganet",
    "equal_work",
    "nist",
    "mgh",
    "scaling",
    "slim_train",
    "inexact_varpro",
    "gradient",
    "layer_parallel",
    "toys",
    "multilevel",
    "spiral",
    "data_parallel",
    "maximum_principle",
    "gradient_bias",
    "layer_processes",
    "kernels",
    "noisy",
    "levenberg_marquardt",
    "images",
    "image_scales",
)


def arguments() -> argparse.Namespace:
    """Words of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=(*NAMES, "all"))
    parser.add_argument("--quick", action="store_true", help="a small version, to see that everything runs")
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--ours-only", action="store_true", help="keep the alternatives' earlier results")
    side.add_argument("--theirs-only", action="store_true", help="keep our earlier results")
    side.add_argument("--tables-only", action="store_true", help="measure nothing: print tables, renew the summary")
    parser.add_argument("--seeds", type=int, help="number of seeds, default: the benchmark's own")
    parser.add_argument("--sets", nargs="+", help="only these data sets (uci, classification) or sizes (memory)")
    parser.add_argument("--methods", nargs="+", help="only these, by the names of the result file")
    parser.add_argument("--missing", action="store_true", help="continue: measure only what the result file lacks")
    parser.add_argument("--data", type=Path, default=os.environ.get("NUMDL_DATA"), help="data folder, or NUMDL_DATA")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the JSON files are")
    return parser.parse_args()


def start(name: str, args: argparse.Namespace) -> None:
    """Run one benchmark, print its tables, write its summary."""
    unwanted = {"ours": args.theirs_only, "theirs": args.ours_only}
    sides = tuple(side for side in ("theirs", "ours") if not (args.tables_only or unwanted[side]))
    run = Run(
        name=name,
        sides=sides,
        quick=args.quick,
        seeds=args.seeds,
        sets=tuple(args.sets) if args.sets else None,
        data=Path(args.data) if args.data else None,
        missing=args.missing,
        methods=tuple(args.methods) if args.methods else None,
        results=args.results,
        command=command_line(),
    )
    benchmark = importlib.import_module(f"benchmarks.{name}")
    if run.sides:
        benchmark.run(run)
    run.save({**run.origins(), **benchmark.summarise(run.records)})
    print(f"wrote {run.path.name}")


def main() -> int:
    """Exit code: 0 done, 1 when what was asked for cannot run."""
    args = arguments()
    if not (args.theirs_only or args.tables_only):
        import numdl

        missing = [name for name in ("ResNetRegressor", "ResNetClassifier") if not hasattr(numdl, name)]
        if missing:
            print(f"benchmarks: numdl has no {', '.join(missing)}; update it or use --theirs-only.", file=sys.stderr)
            return 1
    skipped = []
    for name in NAMES if args.name == "all" else (args.name,):
        try:
            start(name, args)
        except BenchmarkError as error:
            skipped.append(str(error))
    for message in skipped:
        print(message, file=sys.stderr)
    return 1 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
