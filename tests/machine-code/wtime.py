import heapq, math, sys
import numpy as np
import regions
from launch import Launch
from standard import BATCH, CHANNELS, NEURONS, bytes_of, cycles
from timing import CLOCK, MULTIPROCESSORS
HEIGHT, WIDTH = 36, 64
P = HEIGHT*WIDTH
R = regions.standard()

def spread(times):
    """The last of a launch's blocks to end, handed out in order as multiprocessors become free."""
    free=[0.0]*MULTIPROCESSORS
    for t in times: heapq.heappush(free, heapq.heappop(free)+t)
    return max(free)

def busy(model):
    return {k: round(model.count[k]/ (4 if k in("group product cycles","issued") else 1)/model.cycles,2) for k in ["group product cycles","shared passes","L2 cycles","issued"]}

def forward(each=32, tile=2):
    def block(here):
        run = Launch("readout_regions_forward", "readout_regions_forward", "bf16", 384, 55296)
        take = lambda n: run.memory.alloc(n, "")
        tiles=len(R.tiles)-1
        x=take(BATCH*CHANNELS*P*2)
        given=[x, take(len(R.chunks)*8*192*2), take(NEURONS*CHANNELS*4), *[run.put(t) for t in R.tables()[1:3]], take(4*BATCH*tiles*192*4)]
        return cycles(run,(tiles,2,CHANNELS//each),[(tile,1,0)],given,[BATCH,CHANNELS,P,NEURONS,here,0])
    spans=R.tiles[tile+1]-R.tiles[tile]
    (a,ma),(b,mb)=block(3),block(9)
    step=(b-a)/6/spans; fixed=a-3*spans*step
    print("forward", fixed, step, busy(mb))
    z=CHANNELS//each
    times=[fixed+n*each*step for _ in range(2*z) for n in np.diff(R.tiles)]
    print("us", spread(times)/CLOCK*1e6, "full", sum(times)/MULTIPROCESSORS/CLOCK*1e6, len(times))

def to_weights(z=2, piece=2):
    inside=int(R.starts[-1]); np_=len(R.pieces); tiles=len(R.tiles)-1
    def block(here):
        run = Launch("readout_regions_weights", "readout_regions_backward_weights", "bf16", 384, 57360)
        take = lambda n: run.memory.alloc(n, "")
        given=[take(BATCH*CHANNELS*P*2), take(len(R.chunks)*8*192*2), take(inside*4), take(NEURONS*CHANNELS*4), take(tiles*192*BATCH*2),
          *[run.put(t) for t in R.tables()[:4]], take(2*inside*4), take(len(R.pieces)*192*CHANNELS*4)]
        return cycles(run,(np_,1,1),[(piece,0,0)],given,[BATCH,CHANNELS,P,WIDTH,NEURONS,inside,here,0])
    (a,ma),(b,mb)=block(8),block(16)
    step=(b-a)/8; fixed=a-8*step
    print("weights", fixed, step, busy(mb))
    for z in (1,2,3,4):
        each=-(-CHANNELS//z)
        times=[fixed+each*step for _ in range(np_*z)]
        print(z, "us", spread(times)/CLOCK*1e6, "full", sum(times)/MULTIPROCESSORS/CLOCK*1e6, len(times))

def to_maps():
    def block(ends, most=0):
        run = Launch("readout_regions_input", "readout_regions_backward_input", "bf16", 256, 57856)
        take = lambda n: run.memory.alloc(n, "")
        pat=R.tables()[4].copy(); pat[1,3:]=ends
        given=[take(len(R.eights)*8*192*2), take((CHANNELS+BATCH)*6016*2), run.put(np.array(R.eights,np.uint32)), run.put(pat), take(BATCH*CHANNELS*P*2)]
        return cycles(run,(BATCH*CHANNELS//256,len(R.corners),1),[(1,1,0)],given,[BATCH,CHANNELS,HEIGHT,WIDTH,NEURONS])
    steps=[]
    for kind in range(5):
        e=lambda n: [0]*kind+[n]*(5-kind)
        (a,ma),(b,mb)=block(e(6)),block(e(12))
        steps.append((b-a)/6); fixed=a-6*steps[-1]
        print("maps", kind, fixed, steps[-1], busy(mb))
    times=[fixed+sum(n*s for n,s in zip(np.diff([0,*ends]),steps)) for ends in R.ends]
    print(R.ends, [round(t) for t in times])
    times=[t for t in sorted(times)[::-1] for _ in range(128)]
    print("us", spread(times)/CLOCK*1e6, "full", sum(times)/MULTIPROCESSORS/CLOCK*1e6, len(times))
    own=[int(x) for x in R.ends[5]]
    print(own, block(own)[0], "for", times[0])
if __name__=="__main__": globals()[sys.argv[1]](*map(int,sys.argv[2:]))
