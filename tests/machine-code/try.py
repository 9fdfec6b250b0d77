import sys, time
import numpy as np
import regions
from check import difference
rng = np.random.default_rng(5)
def some(n, h, w, sides):
    out=[]
    for _ in range(n):
        s=int(rng.choice(sides)); a,b=min(s,h),min(s,w)
        out.append((int(rng.integers(0,h-a+1)),int(rng.integers(0,w-b+1)),a,b))
    return out
CASES={"odd": lambda: regions.Case("bf16", 9, 5, (9, 11), some(200, 9, 11, [1,3,4,9])),
 "many": lambda: regions.Case("bf16", 140, 4, (10, 14), some(70, 10, 14, [4,8])),
}
for name in sys.argv[2:] or CASES:
    t=time.time()
    case=CASES[name]()
    run,got,want=getattr(regions,sys.argv[1])(case)
    pairs=zip(got,want) if isinstance(got,list) else [(got,want)]
    print(name, case.sizes, [float(difference(*q)) for q in pairs], dict(run.faults), time.time()-t, flush=True)
