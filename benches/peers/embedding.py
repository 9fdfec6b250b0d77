"""t-SNE by scikit-learn and, where installed, openTSNE, timed; benches/embedding.rs writes the rows and reads the JSON.

    python embedding.py FOLDER --threads 2

FOLDER holds rows.npy, float32 (n, d); the points of each program are written beside it, as scikit-learn.npy and
openTSNE.npy. Defaults of either, but for openTSNE's number of steps: 250 exaggerated and 750 plain ones, as the others take.
"""

import argparse
import json
import pathlib
import time

import numpy as np
import sklearn
from sklearn.manifold import TSNE

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--threads", type=int, default=2)
arguments = parser.parse_args()
rows = np.load(arguments.folder / "rows.npy")
answers = []


def timed(name, version, fit):
    started = time.perf_counter()
    points, divergence = fit()
    seconds = time.perf_counter() - started
    np.save(arguments.folder / f"{name}.npy", np.asarray(points, dtype=np.float32))
    answers.append({"name": name, "version": version, "seconds": seconds, "divergence": float(divergence)})


def by_sklearn():
    tsne = TSNE(random_state=0, n_jobs=arguments.threads)
    return tsne.fit_transform(rows), tsne.kl_divergence_


timed("scikit-learn", sklearn.__version__, by_sklearn)
try:
    import openTSNE
except ImportError:
    pass
else:

    def by_opentsne():
        points = openTSNE.TSNE(n_iter=750, n_jobs=arguments.threads, random_state=0).fit(rows)
        return points, points.kl_divergence

    timed("openTSNE", openTSNE.__version__, by_opentsne)
print(json.dumps(answers))
