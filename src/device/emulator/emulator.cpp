// Runs kernels block by block, the threads of a block as fibers on one processor thread.
//
// Checked: all threads of a block meet at the same barriers, all lanes of a warp at the same exchanges, no thread leaves
// before a barrier that others wait at, and no two blocks write one element. Shared memory is NaN when a block starts. A watched
// launch (watch.h) is also checked for races.
#include "cuda.h"
#include "watch.h"

#include <cstdio>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator {

Index thread_index, block_index, block_size, grid_size;

namespace {

constexpr size_t STACK = 128 * 1024;

enum class State { Runnable, AtWarp, AtBlock, Done };

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
    bool orders_memory;
    unsigned parity;
    unsigned char deposits[2][64];
};

std::vector<Fiber> fibers;
std::vector<unsigned char> stacks;
Context scheduler;
unsigned current;
void (*body)(void**);
void** arguments;

void resume(unsigned t) {
    current = t;
    thread_index = {t, 0, 0};
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

void enter() {
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
    *--sp = nullptr;  // where `enter` would return to: keeps the stack aligned as after a call
    *--sp = reinterpret_cast<void*>(&enter);
    for (int i = 0; i < 6; ++i) *--sp = nullptr;
    f.context = sp;
#else
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = top - STACK;
    f.context.uc_stack.ss_size = STACK;
    f.context.uc_link = nullptr;
    makecontext(&f.context, enter, 0);
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

// Runs the lanes of a warp until all are done or wait for the block.
void run_warp(unsigned warp, const std::vector<unsigned>& lanes, Failure& failure) {
    for (;;) {
        for (unsigned lane : lanes) {
            unsigned t = warp * 32 + lane;
            if (fibers[t].state == State::Runnable) resume(t);
        }
        watch_pause();
        unsigned waiting = 0, line = 0;
        bool same = true, orders_memory = true;
        for (unsigned lane = 0; lane < 32; ++lane) {
            const Fiber& f = fibers[warp * 32 + lane];
            if (f.state != State::AtWarp) continue;
            if (waiting++ == 0) line = static_cast<unsigned>(f.line);
            same = same && static_cast<unsigned>(f.line) == line;
            orders_memory = orders_memory && f.orders_memory;
        }
        if (waiting == 0) return;
        if (waiting < 32 || !same)
            return failure.say("block (%u, %u, %u), warp %u: %u of 32 lanes reach the exchange at line %d",
                               block_index.x, block_index.y, block_index.z, warp, same ? waiting : 0u, static_cast<int>(line));
        watch_exchange(warp, orders_memory);
        for (unsigned lane = 0; lane < 32; ++lane) fibers[warp * 32 + lane].state = State::Runnable;
    }
}

void run_block(unsigned threads, unsigned kind, uint64_t seed, Failure& failure) {
    static std::vector<unsigned> warps, lanes;
    for (unsigned t = 0; t < threads; ++t) prepare(t);
    forget_products(threads);
    watch_block(threads);
    order(warps, threads / 32, kind, seed);
    order(lanes, 32, kind, seed + 1);
    for (;;) {
        for (unsigned warp : warps) {
            run_warp(warp, lanes, failure);
            if (failure.set) return;
        }
        unsigned waiting = 0;
        int line = 0;
        bool same = true;
        for (unsigned t = 0; t < threads; ++t) {
            if (fibers[t].state != State::AtBlock) continue;
            if (waiting++ == 0) line = fibers[t].line;
            same = same && fibers[t].line == line;
        }
        if (waiting == 0) return;
        if (waiting < threads)
            return failure.say("block (%u, %u, %u): %u of %u threads left before the barrier at line %d", block_index.x,
                               block_index.y, block_index.z, threads - waiting, threads, line);
        if (!same)
            return failure.say("block (%u, %u, %u): threads wait at different barriers, one at line %d", block_index.x,
                               block_index.y, block_index.z, line);
        watch_barrier();
        for (unsigned t = 0; t < threads; ++t) fibers[t].state = State::Runnable;
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

}  // namespace

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
// shared memory; `watch` is null or of `kernel`'s second build. Returns 0, or 1 with a message. Not for two threads at a time.
extern "C" int striate_emulate(void (*kernel)(void**), void** args, const unsigned* grid, unsigned threads, unsigned kind,
                               uint16_t* const* outputs, const size_t* halves, const size_t* widths, size_t output_count,
                               uint32_t* const* shared, Watch* watch, char* message, size_t message_size) {
    Failure failure{message, message_size};
    watch_launch(watch, shared);
    if (fibers.size() < threads) {
        fibers.resize(threads);
        stacks.resize(threads * STACK);
    }
    body = kernel;
    arguments = args;
    grid_size = {grid[0], grid[1], grid[2]};
    block_size = {threads, 1, 1};
    std::vector<Output> written(output_count);
    for (size_t i = 0; i < output_count; ++i) {
        written[i] = {outputs[i], halves[i], std::vector<uint16_t>(outputs[i], outputs[i] + halves[i]),
                      std::vector<uint32_t>(halves[i], 0)};
    }
    std::vector<unsigned> blocks;
    order(blocks, grid[0] * grid[1] * grid[2], kind, 17);
    for (unsigned b : blocks) {
        block_index = {b % grid[0], b / grid[0] % grid[1], b / grid[0] / grid[1]};
        for (uint32_t* word = shared[0]; word < shared[1]; ++word) *word = FRESH;
        run_block(threads, kind, b, failure);
        for (size_t i = 0; i < output_count && !failure.set; ++i) {
            size_t clash = written[i].claim(b);
            if (clash != written[i].halves)
                failure.say("block (%u, %u, %u) changes element %zu of output %zu, which another block wrote", block_index.x,
                            block_index.y, block_index.z, clash / widths[i], i);
        }
        if (failure.set) break;
    }
    if (const char* race = watch_end()) failure.say("%s", race);
    return failure.set;
}
