"""Faults planted in copies of the forward pass of the readout, each of which must be seen."""

import pathlib
import shutil
import sys
import tempfile

import nvrtc
import readout
from check import TOLERANCE, difference
from machine import Fault

RING, PRODUCTS = "tensor_map.cuh", "readout_warpgroup_forward.cu"
WAIT_FREE = "if (next >= STAGES) wait_at(free + stage, next / STAGES % 2 ^ 1);"
WAIT_PRODUCTS = "            wait_for_products<1>();\n            if (span > 0) stages.release(stages.now - 1, more || span + AHEAD < spans);\n"
SHOW, MEET = "            show_copies();\n", "            meet_cluster();\n"
OWN_ROW = "first_row + own_block() * OWN_ROWS, column"
# What goes wrong, where, which text, what stands there instead.
FAULTS = [
    ("no wait for free stages", RING, WAIT_FREE, ""),
    ("the other parity of free stages", RING, WAIT_FREE, WAIT_FREE.replace(" ^ 1", "")),
    ("no wait for full ones", RING, "        wait_at(full + now % STAGES, now / STAGES % 2);\n", ""),
    ("the other parity of full ones", RING, "now / STAGES % 2);", "now / STAGES % 2 ^ 1);"),
    ("fewer bytes", RING, "expect_bytes(full + stage, BYTES)", "expect_bytes(full + stage, BYTES / 2)"),
    ("more bytes", RING, "expect_bytes(full + stage, BYTES)", "expect_bytes(full + stage, BYTES + 128)"),
    ("fewer arrivals", RING, "init_barrier(free + stage, BLOCKS * WARPS)", "init_barrier(free + stage, BLOCKS * WARPS - 1)"),
    ("more arrivals", RING, "init_barrier(free + stage, BLOCKS * WARPS)", "init_barrier(free + stage, BLOCKS * WARPS + 1)"),
    ("barriers of a block made without meeting", RING, "        meet_cluster<false>();\n", ""),
    ("barriers made and not shown", RING, "            show_barriers();\n", ""),
    ("a stage that one block alone frees", RING, "arrive_at(free + done % STAGES, lane)", "arrive_at(free + done % STAGES, own_block())"),
    ("a release that nobody hears of", RING, "if (again && lane < BLOCKS)", "if (lane < BLOCKS)"),
    ("release before the products are over", PRODUCTS, WAIT_PRODUCTS, "".join(reversed(WAIT_PRODUCTS.splitlines(True)))),
    ("release of the stage under way", PRODUCTS, "release(stages.now - 1, more ||", "release(stages.now, more ||"),
    ("half of the rows twice", PRODUCTS, "stage * STAGE + own_block() * OWN_ROWS * ROW_WORDS", "stage * STAGE"),
    ("the wrong rows", PRODUCTS, OWN_ROW, OWN_ROW.replace("own_block()", "(own_block() ^ 1)")),
    ("maps for one block", PRODUCTS, ", (1 << CLUSTER) - 1)", ", 1 << own_block())"),
    ("no meeting at the end", PRODUCTS, SHOW + MEET, SHOW),
    ("no fence at the end", PRODUCTS, SHOW + MEET, MEET),
    ("parts beside products", PRODUCTS, "        __syncthreads();\n        outputs", "        outputs"),
]


def main(wanted):
    unseen = False
    case = readout.Case("bf16", 2, 300, 330, 30)  # two passes over rows, and more spans than stages
    originals = nvrtc.KERNELS
    for number, (what, file, text, instead) in enumerate(FAULTS):
        if wanted and str(number) not in wanted:
            continue
        with tempfile.TemporaryDirectory() as copy:
            nvrtc.KERNELS = pathlib.Path(copy) / "kernels"
            shutil.copytree(originals, nvrtc.KERNELS)
            source = (nvrtc.KERNELS / file).read_text()
            assert source.count(text) == 1, f"{what}: {source.count(text)} places"
            (nvrtc.KERNELS / file).write_text(source.replace(text, instead))
            try:
                run, got, want = readout.forward(case)
                off = difference(got, want)
                seen = str(dict(run.faults)) if run.faults else None if off < TOLERANCE["bf16"] else f"off by {off:.1e}"
            except Fault as fault:
                seen = str(fault)
        unseen |= not seen
        print(f"{number} {what}: {seen or 'NOT SEEN'}", flush=True)
    sys.exit(unseen)


if __name__ == "__main__":
    main(sys.argv[1:])
