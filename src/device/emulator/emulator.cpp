// Runs kernels block by block, the threads of a block as fibers on one processor thread.
//
// Checked: all threads of a block meet at the same barriers, all lanes of a warp at the same exchanges, no thread leaves
// before a barrier that others wait at, and no two blocks write one element. Shared memory is NaN when a block starts. A watched
// launch (watch.h) is also checked for races. Blocks of a cluster run by turns, as far as each can.
#include "cluster.h"
#include "cuda.h"
#include "watch.h"

#include <cstdarg>
#include <cstdio>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator {

Index thread_index, block_index, block_size, grid_size;

namespace {

constexpr size_t STACK = 128 * 1024;

enum class State { Runnable, AtWarp, AtBlock, AtBarrier, AtCluster, Done };

#if defined(__x86_64__)
// Saves the registers that calls preserve, changes stacks, restores them.
extern "C" void striate_switch(void** save, void* load);
asm(R"(
.text
.globl striate_switch
.hidden striate_switch
.type striate_switch, @function
striate_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size striate_switch, .-striate_switch
)");
using Context = void*;
#else
using Context = ucontext_t;
#endif

struct Copy {
    void* to;
    const void* from;  // or null: zeros
};

struct Fiber {
    Context context;
    std::vector<std::vector<Copy>> copies;  // groups, the last one open
    State state;
    int line;
    const void* barrier;  // in shared memory, and the phase that is waited for
    unsigned awaited;
    bool orders_memory;
    unsigned parity;
    unsigned char deposits[2][64];
};

struct Block {
    Index index;
    std::vector<unsigned char> shared;  // while another has its turn
};

std::vector<Fiber> fibers;  // of every block of the cluster
std::vector<unsigned char> stacks;
std::vector<Block> cluster;
Context scheduler;
constexpr unsigned NOBODY = ~0u;
unsigned current, threads, own = NOBODY;
bool moved;  // some thread since somebody looked
unsigned char* shared_memory;
size_t shared_bytes;
void (*body)(void**);
void** arguments;

void resume(unsigned t) {
    current = t;
    moved = true;
    thread_index = {t % threads, 0, 0};
#if defined(__x86_64__)
    striate_switch(&scheduler, fibers[t].context);
#else
    swapcontext(&scheduler, &fibers[t].context);
#endif
}

void yield(State state, int line) {
    Fiber& me = fibers[current];
    unsigned t = current;
    me.state = state;
    me.line = line;
#if defined(__x86_64__)
    striate_switch(&me.context, scheduler);
#else
    swapcontext(&me.context, &scheduler);
#endif
    (void)t;
}

void start() {
    body(arguments);
    yield(State::Done, 0);
    __builtin_unreachable();
}

void prepare(unsigned t) {
    Fiber& f = fibers[t];
    f.state = State::Runnable;
    f.parity = 0;
    f.copies.assign(1, {});
    unsigned char* top = stacks.data() + (t + 1) * STACK;
#if defined(__x86_64__)
    auto** sp = reinterpret_cast<void**>(reinterpret_cast<uintptr_t>(top) & ~uintptr_t(15));
    *--sp = nullptr;  // where `start` would return to: keeps the stack aligned as after a call
    *--sp = reinterpret_cast<void*>(&start);
    for (int i = 0; i < 6; ++i) *--sp = nullptr;
    f.context = sp;
#else
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = top - STACK;
    f.context.uc_stack.ss_size = STACK;
    f.context.uc_link = nullptr;
    makecontext(&f.context, start, 0);
#endif
}

// 0, 1, 2 .. or n - 1, n - 2 .. or a fixed shuffle.
void order(std::vector<unsigned>& out, unsigned n, unsigned kind, uint64_t seed) {
    out.resize(n);
    for (unsigned i = 0; i < n; ++i) out[i] = kind == 1 ? n - 1 - i : i;
    if (kind != 2) return;
    uint64_t state = seed * 2654435769u + 88172645463325252u;
    for (unsigned i = n; i > 1; --i) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        std::swap(out[i - 1], out[state % i]);
    }
}

struct Failure {
    char* text;
    size_t size;
    bool set = false;
    template <typename... A> void say(const char* format, A... a) {
        if (set) return;
        set = true;
        std::snprintf(text, size, format, a...);
    }
};

Failure* failure;

// The first fiber of the block whose turn it is.
Fiber* fibers_here() { return fibers.data() + own * threads; }

bool can_go_on(const Fiber& f) {
    return f.state == State::Runnable || (f.state == State::AtBarrier && is_complete(own, f.barrier, f.awaited));
}

// Runs the lanes of a warp until all are done or wait for others.
void run_warp(unsigned warp, const std::vector<unsigned>& lanes) {
    Fiber* here = fibers_here() + warp * 32;
    for (;;) {
        for (unsigned lane : lanes) {
            if (can_go_on(here[lane])) resume(own * threads + warp * 32 + lane);
            if (failure->set) return;
        }
        watch_pause();
        unsigned waiting = 0, line = 0;
        bool same = true, orders_memory = true, later = false;
        for (unsigned lane = 0; lane < 32; ++lane) {
            const Fiber& f = here[lane];
            later = later || f.state == State::AtBarrier;
            if (f.state != State::AtWarp) continue;
            if (waiting++ == 0) line = static_cast<unsigned>(f.line);
            same = same && static_cast<unsigned>(f.line) == line;
            orders_memory = orders_memory && f.orders_memory;
        }
        if (waiting == 0 || later) return;
        if (waiting < 32 || !same)
            return failure->say("block (%u, %u, %u), warp %u: %u of 32 lanes reach the exchange at line %d",
                                block_index.x, block_index.y, block_index.z, warp, same ? waiting : 0u, static_cast<int>(line));
        watch_exchange(warp, orders_memory);
        for (unsigned lane = 0; lane < 32; ++lane) here[lane].state = State::Runnable;
    }
}

// How many of `count` threads wait so; `line`: where the first does; `same`: all at one place.
unsigned count_waiting(const Fiber* first, unsigned count, State state, int& line, bool& same) {
    unsigned waiting = 0;
    same = true;
    for (unsigned t = 0; t < count; ++t) {
        if (first[t].state != state) continue;
        if (waiting++ == 0) line = first[t].line;
        same = same && first[t].line == line;
    }
    return waiting;
}

// Lets those go on that all wait for each other: the threads of a block or of the whole cluster.
bool meet(Fiber* first, unsigned count, State state) {
    int line = 0;
    bool same;
    unsigned waiting = count_waiting(first, count, state, line, same);
    if (waiting < count) return false;
    if (!same) {
        failure->say("block (%u, %u, %u): threads wait at different barriers, one at line %d", block_index.x, block_index.y,
                     block_index.z, line);
        return false;
    }
    for (unsigned t = 0; t < count; ++t) first[t].state = State::Runnable;
    return true;
}

// Nobody can go on: all are done, or somebody waits for what will not come.
void close_cluster() {
    for (unsigned block = 0; block < cluster.size() && !failure->set; ++block) {
        enter(block);
        int line = 0;
        bool same;
        auto waiting = [&](State state) { return count_waiting(fibers_here(), threads, state, line, same); };
        if (waiting(State::AtBarrier) > 0)
            failure->say("block (%u, %u, %u): threads wait for a barrier in shared memory at line %d that nobody completes",
                         block_index.x, block_index.y, block_index.z, line);
        unsigned left = threads - waiting(State::AtBlock);
        if (left < threads)
            failure->say("block (%u, %u, %u): %u of %u threads left before the barrier at line %d", block_index.x, block_index.y,
                         block_index.z, left, threads, line);
        if (waiting(State::AtCluster) > 0)
            failure->say("block (%u, %u, %u): threads wait for the cluster at line %d, where others do not come", block_index.x,
                         block_index.y, block_index.z, line);
        if (has_copies(block)) fail("copies to its shared memory that nobody waited for");
    }
}

// Looked at by 16 bits, which the smallest numbers have.
struct Output {
    const uint16_t* now;
    size_t halves;
    std::vector<uint16_t> before;
    std::vector<uint32_t> owner;  // 0: nobody, else block + 1

    // Notes what this block changed; the first half that another block had changed before, or halves.
    size_t claim(uint32_t block) {
        constexpr size_t STEP = 2048;
        size_t clash = halves;
        for (size_t at = 0; at < halves; at += STEP) {
            size_t n = std::min(STEP, halves - at);
            if (std::memcmp(now + at, before.data() + at, n * 2) == 0) continue;
            for (size_t i = at; i < at + n; ++i) {
                if (now[i] == before[i]) continue;
                if (owner[i] != 0 && owner[i] != block + 1) clash = std::min(clash, i);
                owner[i] = block + 1;
                before[i] = now[i];
            }
        }
        return clash;
    }
};

// Runs the blocks of a cluster until all are done; what each wrote is claimed at the end of its turns.
template <class Claim> void run_cluster(unsigned kind, uint64_t seed, Claim claim) {
    static std::vector<unsigned> blocks, warps, lanes;
    forget_barriers(cluster.size());
    for (unsigned block = 0; block < cluster.size(); ++block) {
        enter(block);
        block_index = cluster[block].index;  // a new one, also where this block has had its turn before
        for (size_t word = 0; word < shared_bytes / 4; ++word) reinterpret_cast<uint32_t*>(shared_memory)[word] = FRESH;
        for (unsigned t = 0; t < threads; ++t) prepare(block * threads + t);
        forget_products(threads);
        watch_block(threads);
    }
    order(blocks, cluster.size(), kind, seed + 2);
    order(warps, threads / 32, kind, seed);
    order(lanes, 32, kind, seed + 1);
    do {
        moved = false;
        for (unsigned block : blocks) {
            enter(block);
            for (unsigned warp : warps) {
                run_warp(warp, lanes);
                if (failure->set) return;
            }
            if (meet(fibers_here(), threads, State::AtBlock)) watch_barrier(), moved = true;
            claim();
            if (failure->set) return;
        }
        if (meet(fibers.data(), cluster.size() * threads, State::AtCluster)) {
            for (unsigned block : blocks) enter(block), watch_barrier();
            moved = true;
        }
    } while (moved && !failure->set);
    close_cluster();
}

}  // namespace

void fail(const char* format, ...) {
    char text[256];
    va_list values;
    va_start(values, format);
    std::vsnprintf(text, sizeof text, format, values);
    va_end(values);
    failure->say("block (%u, %u, %u): %s", block_index.x, block_index.y, block_index.z, text);
}

unsigned char* shared_begin() { return shared_memory; }

size_t shared_offset(const void* at) { return static_cast<const unsigned char*>(at) - shared_memory; }

unsigned own_block() { return own; }

bool has_left(unsigned block) {
    for (unsigned t = 0; t < threads; ++t)
        if (fibers[block * threads + t].state != State::Done) return false;
    return true;
}

void enter(unsigned block) {
    if (block == own) return;
    if (own != NOBODY) cluster[own].shared.assign(shared_memory, shared_memory + shared_bytes);
    own = block;
    block_index = cluster[own].index;
    if (!cluster[own].shared.empty()) std::memcpy(shared_memory, cluster[own].shared.data(), shared_bytes);
    enter_products(own);
    watch_enter(own);
}

void wait_at(const void* barrier, unsigned parity, int line) {
    fibers[current].barrier = barrier;
    fibers[current].awaited = parity;
    if (!is_complete(own, barrier, parity)) yield(State::AtBarrier, line);
}

void meet_cluster(int line) { yield(State::AtCluster, line); }

void block_barrier(int line) { yield(State::AtBlock, line); }

void warp_barrier(int line, bool orders_memory) {
    fibers[current].orders_memory = orders_memory;
    yield(State::AtWarp, line);
    fibers[current].parity ^= 1;
}

void begin_copy(void* to, const void* from, bool inside) {
    if (reinterpret_cast<uintptr_t>(to) % 16 != 0 || (inside && reinterpret_cast<uintptr_t>(from) % 16 != 0)) __builtin_trap();
    watch_copy(to, from, inside, __builtin_return_address(0));
    for (int i = 0; i < 4; ++i) static_cast<uint32_t*>(to)[i] = FRESH;
    fibers[current].copies.back().push_back({to, inside ? from : nullptr});
}

void close_copies() { fibers[current].copies.emplace_back(); }

void wait_for_copies(unsigned left) {
    auto& copies = fibers[current].copies;
    if (copies.size() <= left + 1) return;
    auto end = copies.end() - (left + 1);
    for (auto group = copies.begin(); group != end; ++group)
        for (const Copy& copy : *group) {
            if (copy.from) std::memcpy(copy.to, copy.from, 16);
            else std::memset(copy.to, 0, 16);
            hide_copy(copy.to);
            watch_arrival(copy.to);
        }
    copies.erase(copies.begin(), end);
}

void deposit_row(const void* row) {
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0) __builtin_trap();
    watch_read(row, 16, __builtin_return_address(0));
    std::memcpy(deposit(), row, 16);
}

void* deposit() { return fibers[current].deposits[fibers[current].parity]; }

const void* deposited(int lane) {
    return fibers[current / 32 * 32 + static_cast<unsigned>(lane)].deposits[fibers[current].parity ^ 1];
}

}  // namespace emulator

using namespace emulator;

// One launch. `outputs` have so many halves of 32-bit words, and so many to an element. `shared`: begin and end of the kernel's
// shared memory; `watch` is null or of `kernel`'s second build; `together`: blocks of a cluster. Returns 0, or 1 with a message. Not
// for two threads at a time.
extern "C" int striate_emulate(void (*kernel)(void**), void** args, const unsigned* grid, unsigned count, unsigned together,
                               unsigned kind, uint16_t* const* outputs, const size_t* halves, const size_t* widths,
                               size_t output_count, uint32_t* const* shared, Watch* watch, char* message, size_t message_size) {
    Failure outcome{message, message_size};
    failure = &outcome;
    watch_launch(watch, shared);
    threads = count;
    if (fibers.size() < threads * together) {
        fibers.resize(threads * together);
        stacks.resize(threads * together * STACK);
    }
    body = kernel;
    arguments = args;
    grid_size = {grid[0], grid[1], grid[2]};
    block_size = {threads, 1, 1};
    shared_memory = reinterpret_cast<unsigned char*>(shared[0]);
    shared_bytes = (shared[1] - shared[0]) * 4;
    cluster.assign(together, {});
    own = NOBODY;
    std::vector<Output> written(output_count);
    for (size_t i = 0; i < output_count; ++i) {
        written[i] = {outputs[i], halves[i], std::vector<uint16_t>(outputs[i], outputs[i] + halves[i]),
                      std::vector<uint32_t>(halves[i], 0)};
    }
    auto claim = [&] {
        unsigned b = block_index.x + grid[0] * (block_index.y + grid[1] * block_index.z);
        for (size_t i = 0; i < output_count && !outcome.set; ++i) {
            size_t clash = written[i].claim(b);
            if (clash != written[i].halves)
                outcome.say("block (%u, %u, %u) changes element %zu of output %zu, which another block wrote", block_index.x,
                            block_index.y, block_index.z, clash / widths[i], i);
        }
    };
    std::vector<unsigned> clusters;
    order(clusters, grid[0] / together * grid[1] * grid[2], kind, 17);
    for (unsigned c : clusters) {
        unsigned b = c * together;
        for (unsigned i = 0; i < together; ++i) cluster[i].index = {b % grid[0] + i, b / grid[0] % grid[1], b / grid[0] / grid[1]};
        run_cluster(kind, b, claim);
        if (outcome.set) break;
    }
    if (const char* race = watch_end()) {
        outcome.set = false;  // it explains what else went wrong
        outcome.say("%s", race);
    }
    return outcome.set;
}
