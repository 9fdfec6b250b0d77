"""k-means by scikit-learn, timed; benches/clusters.rs writes the rows and reads the JSON.

    python clusters.py ROWS.npy --clusters 50 --restarts 10 --threads 2

The number of threads is set before NumPy is loaded. Rows are float32, as scikit-learn takes them fastest.
"""

import argparse
import json
import os
import time

parser = argparse.ArgumentParser()
parser.add_argument("rows")
parser.add_argument("--clusters", type=int, required=True)
parser.add_argument("--restarts", type=int, required=True)
parser.add_argument("--threads", required=True)
arguments = parser.parse_args()
for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ[name] = arguments.threads

import numpy as np
import sklearn
from sklearn.cluster import KMeans

rows = np.load(arguments.rows)
# Threads and libraries are loaded once.
KMeans(2, n_init=1, max_iter=2, random_state=0).fit(rows[:100])
started, busy = time.perf_counter(), time.process_time()
model = KMeans(arguments.clusters, n_init=arguments.restarts, random_state=1).fit(rows)
answer = {
    "version": sklearn.__version__,
    "seconds": time.perf_counter() - started,
    "processor_seconds": time.process_time() - busy,
    "inertia": float(model.inertia_),
    "labels": model.labels_.tolist(),
}
print(json.dumps(answer))
