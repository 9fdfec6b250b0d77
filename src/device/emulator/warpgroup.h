// Products of a warpgroup, for g++: what `warpgroup.cuh` gives them on Hopper.
//
// A card makes each at any time until the thread waits for it; here it is made at the wait, of what then lies in shared memory,
// found where the hardware finds it. Copies that were not shown to products are NaN to them.
#pragma once

#ifndef PRECISION
#define PRECISION 0  // the emulator itself
#endif

namespace emulator {

constexpr bool PAIRS = PRECISION == 2;  // two numbers to a word: BF16, else TF32

struct Product {
    float (*sums)[4];
    int columns;
    bool across, add, in_registers, pairs;
    uint64_t a, b;
    float rows[2][16];  // of a in registers: those of this thread's sums
    const void* place;  // where in the code it was begun
};

void begin_product(Product product);
void close_products();
void wait_for_products(unsigned left);
void show_copies();
// A copy to shared memory has arrived.
void hide_copy(const void* to);
// One by the copy engine has, which needs nobody to show it.
void show_copy(const void* to);
// Before a block of `count` threads.
void forget_products(unsigned count);

}  // namespace emulator

static inline uint32_t shared_address(const void* at) { return emulator::shared_address(at); }

template <bool ACROSS, int J> static inline void multiply_group(float (&d)[J][4], uint64_t a, uint64_t b, bool add = true) {
    emulator::warp_barrier(-5);
    emulator::begin_product({d, 8 * J, ACROSS, add, false, emulator::PAIRS, a, b, {}, nullptr});
}
template <bool ACROSS, int J> static inline void multiply_group(float (&d)[J][4], const uint32_t (&a)[4], uint64_t b, bool add = true) {
    emulator::Product product{d, 8 * J, ACROSS, add, true, emulator::PAIRS, 0, b, {}, nullptr};
    std::memcpy(emulator::deposit(), a, sizeof a);
    emulator::warp_barrier(-6);
    for (int t = 0; t < 4; ++t) {
        uint32_t of_lane[4];
        std::memcpy(of_lane, emulator::deposited(emulator::lane() / 4 * 4 + t), sizeof of_lane);
        for (int e = 0; e < 4; ++e) {
            float* to = product.rows[e % 2] + (emulator::PAIRS ? e / 2 * 8 + t * 2 : e / 2 * 4 + t);
            to[0] = emulator::number(emulator::PAIRS ? of_lane[e] << 16 : of_lane[e] & 0xffffe000u);
            if (emulator::PAIRS) to[1] = emulator::number(of_lane[e] & 0xffff0000u);
        }
    }
    emulator::begin_product(product);
}
static inline void open_products() {}
static inline void close_products() { emulator::close_products(); }
template <int LEFT> static inline void wait_for_products() { emulator::wait_for_products(LEFT); }
static inline void show_copies() { emulator::show_copies(); }
template <int J> static inline void pin(float (&)[J][4]) {}
