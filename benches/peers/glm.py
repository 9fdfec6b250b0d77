"""Poisson GLMs by scikit-learn on a sample of columns, timed; benches/glm.rs writes the arrays and reads the JSON.

    python glm.py FOLDER --penalties 5,1.35,0.37,0.1

FOLDER holds x.npy (images, pixels) and r.npy (images, sampled neurons), float32: one training fold. Every solver and
precision fits every neuron and penalty from zero, with the default tolerance.
"""

import argparse
import json
import pathlib
import time
import warnings

import numpy as np
import sklearn
from sklearn.linear_model import PoissonRegressor

# newton-cholesky is the slowest and its time hardly depends on the column: one fit will do.
VARIANTS = [("lbfgs", np.float32), ("lbfgs", np.float64), ("newton-cholesky", np.float64)]

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--penalties", required=True)
arguments = parser.parse_args()
x, r = (np.load(arguments.folder / f"{name}.npy") for name in "xr")
penalties = [float(p) for p in arguments.penalties.split(",")]

warnings.simplefilter("ignore")
variants = []
for solver, dtype in VARIANTS:
    design = x.astype(dtype)
    newton = solver.startswith("newton")
    seconds, iterations = [], []
    for neuron in range(1 if newton else r.shape[1]):
        for alpha in penalties[:1] if newton else penalties:
            model = PoissonRegressor(alpha=alpha, solver=solver, max_iter=1000)
            started = time.perf_counter()
            model.fit(design, r[:, neuron].astype(dtype))
            seconds.append(time.perf_counter() - started)
            iterations.append(int(model.n_iter_))
    variants.append(
        {
            "name": f"{solver}, {np.dtype(dtype).name}",
            "fits": len(seconds),
            "seconds_per_fit": float(np.mean(seconds)),
            "iterations": float(np.mean(iterations)),
        }
    )
print(json.dumps({"version": sklearn.__version__, "variants": variants}))
