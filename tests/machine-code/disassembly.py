# SASS with control codes and line numbers.
import re, subprocess, os, collections
from nvrtc import WORK

NVDISASM = str(WORK / "bin" / "nvdisasm")
ins_re = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(.*?)\s*;\s*/\*\s*(0x[0-9a-f]{16})\s*\*/")
hex_re = re.compile(r"^\s*/\*\s*(0x[0-9a-f]{16})\s*\*/\s*$")
lab_re = re.compile(r"^(\.L_x_\d+|\$[\w$]+):")
file_re = re.compile(r'//## File "([^"]+)", line (\d+)')


class Ins:
    pass


import functools


@functools.lru_cache(None)
def load(cubin):
    hx = subprocess.run([NVDISASM, "-c", "-hex", cubin], capture_output=True, text=True).stdout
    ln = subprocess.run([NVDISASM, "-c", "-g", cubin], capture_output=True, text=True).stdout
    lines = {}
    cur = None
    at = None
    for raw in ln.splitlines():
        m = re.match(r"^([a-z_][a-z_0-9]*):\s*$", raw)
        if m:
            cur = m.group(1)
            at = None
            continue
        m = file_re.search(raw)
        if m:
            at = (os.path.basename(m.group(1)), int(m.group(2)))
            continue
        m = re.match(r"^\s*/\*([0-9a-f]{4,})\*/\s", raw)
        if m and cur:
            lines[cur, int(m.group(1), 16)] = at
    K = collections.OrderedDict()
    cur = None
    pend = []
    last = None
    for raw in hx.splitlines():
        m = re.match(r"^([a-z_][a-z_0-9]*):\s*$", raw)
        if m:
            cur = m.group(1)
            K[cur] = ([], {})
            pend = []
            continue
        m = lab_re.match(raw)
        if m and cur:
            pend.append(m.group(1))
            continue
        m = ins_re.match(raw)
        if m and cur:
            i = Ins()
            i.addr = int(m.group(1), 16)
            t = m.group(2).strip()
            lo = int(m.group(3), 16)
            p = re.match(r"^@(!?)(U?P\d+|PT|UPT)\s+(.*)$", t)
            i.pred = (p.group(2), p.group(1) == "!") if p else None
            t = p.group(3) if p else t
            i.text = t
            i.op = t.split(None, 1)[0]
            i.rest = t[len(i.op) :].strip()
            i.line = lines.get((cur, i.addr))
            for l in pend:
                K[cur][1][l] = i.addr
            pend = []
            K[cur][0].append(i)
            last = i
            continue
        m = hex_re.match(raw)
        if m and last is not None:
            hi = int(m.group(1), 16)
            last.stall = (hi >> 41) & 0xF
            last.yld = (hi >> 45) & 1
            last.wb = (hi >> 46) & 7
            last.rb = (hi >> 49) & 7
            last.wait = (hi >> 52) & 0x3F
            last.reuse = (hi >> 58) & 0xF
            last = None
    return K


@functools.lru_cache(None)
def constant2(cubin, kernel):
    d = open(cubin, "rb").read()
    g = lambda o, n: int.from_bytes(d[o : o + n], "little")
    sh, es, n, ix = g(40, 8), g(58, 2), g(60, 2), g(62, 2)
    so = g(sh + ix * es + 24, 8)
    for i in range(n):
        b = sh + i * es
        nm = d[so + g(b, 4) :]
        nm = nm[: nm.index(0)].decode()
        if nm == ".nv.constant2." + kernel:
            return d[g(b + 24, 8) : g(b + 24, 8) + g(b + 32, 8)]
    return b""


if __name__ == "__main__":
    import sys

    k = load(sys.argv[1])
    for i in k[sys.argv[2]][0][:60]:
        print(hex(i.addr), i.pred, i.text, "|", i.stall, i.yld, i.wb, i.rb, bin(i.wait), i.line)
