"""What windows cost in accuracy and gain in speed: the same fits with whole masks and with windows, at several seeds.

    python benches/windows.py --recording sim --config examples/population.toml --out runs/windows \
        [--striate target/release/striate] [--seeds 1,2,3] [--windows 0,16] [--after 200] [--set training.max_steps=1000]

A recording for it: striate simulate --out sim --neurons 1000 --reliability 0.5. Needs Python alone. Each fit is a run of its own under --out; a run that is there already is not trained again, one that was cut goes on. Prints
one row per fit, the mean and SD over seeds, and where the neurons lie that lost most.
"""

import argparse
import csv
import json
import pathlib
import statistics
import subprocess
import time


def arguments():
    p = argparse.ArgumentParser(description="accuracy of windowed masks beside whole ones")
    p.add_argument("--recording", required=True, action="append", help="a recording's directory; may be repeated")
    p.add_argument("--config", required=True)
    p.add_argument("--out", required=True, type=pathlib.Path)
    p.add_argument("--striate", default="target/release/striate")
    p.add_argument("--seeds", default="1,2,3")
    p.add_argument("--windows", default="0,16", help="values of readout.window; the first is what the others are held against")
    p.add_argument("--after", default="200", help="readout.window_after")
    p.add_argument("--set", action="append", default=[], help="as of striate train")
    return p.parse_args()


def numbers(path, column):
    with open(path, newline="") as file:
        return [float(row[column]) if row[column] else float("nan") for row in csv.DictReader(file)]


def known(values):
    return [v for v in values if v == v]


def fit(a, window, seed):
    run = a.out / f"window-{window}-seed-{seed}"
    seconds = None
    if not (run / "evaluation.csv").exists():
        recordings = json.dumps([str(pathlib.Path(r).resolve()) for r in a.recording])
        keys = [f"recordings={recordings}", f"readout.window={window}", f"readout.window_after={a.after}", *a.set]
        command = [a.striate, "train", a.config, "--seed", str(seed), "--out", str(run)]
        cut = (run / "resume.safetensors").exists()
        if cut:
            command.append("--resume")
        for key in keys:
            command += ["--set", key]
        started = time.perf_counter()
        # 1: the answer is bad, which the table will show.
        if subprocess.run(command).returncode not in (0, 1):
            raise SystemExit(f"{' '.join(command)} failed")
        # Of one that was cut, nobody knows them.
        seconds = None if cut else time.perf_counter() - started
        command = [a.striate, "evaluate", str(run)]
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode not in (0, 1):
            raise SystemExit(f"{' '.join(command)} failed")
    steps = numbers(run / "history.csv", "step")
    correlation = numbers(run / "evaluation.csv", "correlation_to_average")
    held, sides = [], {}
    if (run / "windows.csv").exists():
        held = known(numbers(run / "windows.csv", "mass"))
        for side in numbers(run / "windows.csv", "side"):
            sides[int(side)] = sides.get(int(side), 0) + 1
    return {
        "window": window,
        "seed": seed,
        "steps": int(steps[-1]) if steps else 0,
        "seconds": seconds,
        "correlation": statistics.mean(known(correlation)),
        "held": statistics.mean(held) if held else 1.0,
        "sides": sides,
        "neurons": correlation,
    }


def main():
    a = arguments()
    a.out.mkdir(parents=True, exist_ok=True)
    seeds = [int(s) for s in a.seeds.split(",")]
    windows = [int(w) for w in a.windows.split(",")]
    fits = {(w, s): fit(a, w, s) for s in seeds for w in windows}
    print("window  seed  steps  seconds  test correlation  mass held  neurons by side")
    for f in fits.values():
        seconds = "" if f["seconds"] is None else f"{f['seconds']:.0f}"
        print(f"{f['window']:6} {f['seed']:5} {f['steps']:6} {seconds:>8} {f['correlation']:17.4f} {f['held']:10.3f}  {f['sides']}")
    sd = lambda values: statistics.stdev(values) if len(values) > 1 else float("nan")
    for w in windows:
        values = [fits[w, s]["correlation"] for s in seeds]
        print(f"window {w}: {statistics.mean(values):.4f}, SD {sd(values):.4f} over {len(seeds)} seeds")
    for w in windows[1:]:
        lost = [fits[windows[0], s]["correlation"] - fits[w, s]["correlation"] for s in seeds]
        print(f"window {w} loses {statistics.mean(lost):+.4f} (SD {sd(lost):.4f}) against window {windows[0]}")
        for s in seeds:
            pairs = zip(fits[windows[0], s]["neurons"], fits[w, s]["neurons"])
            worst = sorted(((x - y, n) for n, (x, y) in enumerate(pairs) if x == x and y == y), reverse=True)[:5]
            print(f"    seed {s}, most lost: " + ", ".join(f"neuron {n} {d:.3f}" for d, n in worst))


main()
