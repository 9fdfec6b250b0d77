// Products of a warpgroup (see warpgroup.h), and shared memory as they see it.
#include "cluster.h"
#include "cuda.h"
#include "watch.h"

#include <vector>

namespace emulator {

namespace {

struct Thread {
    std::vector<size_t> hidden;                              // chunks that it copied
    std::vector<std::vector<Product>> products = {{}};  // batches, the last one open
};

const unsigned char* dynamic;  // shared memory of the block
struct Block {
    std::vector<Thread> threads;
    std::vector<unsigned char> hidden;  // which of its chunks of 16 bytes were copied and not shown
};
std::vector<Block> blocks(1);  // of the cluster
unsigned own;
constexpr uint32_t FIRST_SHARED = 1024;

Block& here() { return blocks[own]; }
Thread& mine() {
    if (thread_index.x >= here().threads.size()) __builtin_trap();
    return here().threads[thread_index.x];
}

}  // namespace

void forget_products(unsigned count) {
    here().threads.assign(count, {});
    here().hidden.clear();
    dynamic = nullptr;
}

void enter_products(unsigned block) {
    own = block;
    if (blocks.size() <= own) blocks.resize(own + 1);
}

void hide_copy(const void* to) {
    size_t chunk = (static_cast<const unsigned char*>(to) - dynamic) / 16;
    if (chunk >= here().hidden.size()) return;
    here().hidden[chunk] = 1;
    mine().hidden.push_back(chunk);
}

void show_copies() {
    for (size_t chunk : mine().hidden) here().hidden[chunk] = 0;
    mine().hidden.clear();
}

void show_copy(const void* to) {
    size_t chunk = (static_cast<const unsigned char*>(to) - dynamic) / 16;
    if (chunk < here().hidden.size()) here().hidden[chunk] = 0;
}

uint32_t* open_shared(void* memory, size_t bytes) {
    dynamic = static_cast<unsigned char*>(memory);
    here().hidden.resize(bytes / 16);
    return static_cast<uint32_t*>(memory);
}

uint32_t shared_address(const void* at) { return static_cast<uint32_t>(static_cast<const unsigned char*>(at) - dynamic) + FIRST_SHARED; }

namespace {

// An operand in shared memory, as its 64 bits describe it to the hardware.
struct Described {
    uint32_t start, between_slabs, between_eights;

    explicit Described(uint64_t bits)
        : start((bits & 0x3fff) << 4), between_slabs((bits >> 16 & 0x3fff) << 4), between_eights((bits >> 32 & 0x3fff) << 4) {
        constexpr unsigned SWIZZLED_128 = 1;
        if (bits >> 62 != SWIZZLED_128 || (bits >> 49 & 7) != 0) __builtin_trap();
    }
    // Which byte of shared memory holds a number of a row (or column), with k along or across rows of 128 bytes, whose chunks are in
    // another order in each of eight.
    size_t byte(int row, int k, bool across, bool pairs) const {
        uint32_t address = start + (across ? row % 64 * 2 + row / 64 * between_slabs + k % 8 * 128 + k / 8 * between_eights
                                           : row % 8 * 128 + row / 8 * between_eights + k * (pairs ? 2 : 4));
        address ^= (address >> 7 & 7) << 4;
        if (address < FIRST_SHARED || (address - FIRST_SHARED) / 16 >= here().hidden.size()) __builtin_trap();
        return address - FIRST_SHARED;
    }
    float at(int row, int k, bool across, bool pairs) const {
        size_t from = byte(row, k, across, pairs);
        if (here().hidden[from / 16]) return number(FRESH);
        uint32_t word = 0;
        std::memcpy(&word, dynamic + from, pairs ? 2 : 4);
        return number(pairs ? word << 16 : word & 0xffffe000u);
    }
};

int depth_of(const Product& p) { return p.pairs ? 16 : 8; }

// The row of a that this thread's sums begin with.
int own_row() { return static_cast<int>(thread_index.x / 32 % 4) * 16 + lane() / 4; }

// What a warp's products read, by its first lane.
void watch_operands(const Product& p, bool begins) {
    if (lane() != 0) return;
    auto rows = [&](const Described& operand, int first, int count, bool across) {
        for (int row = first; row < first + count; ++row)
            for (int k = 0; k < depth_of(p); ++k) {
                size_t from = operand.byte(row, k, across, p.pairs);
                if (from % 16 == 0) watch_operand(dynamic + from, begins, p.place);
            }
    };
    if (!p.in_registers) rows(Described(p.a), own_row(), 16, false);
    rows(Described(p.b), 0, p.columns, p.across);
}

void make(Product& p) {
    watch_operands(p, false);
    int t = lane() % 4, depth = depth_of(p);
    if (!p.in_registers)
        for (int row = 0; row < 2; ++row)
            for (int k = 0; k < depth; ++k) p.rows[row][k] = Described(p.a).at(own_row() + row * 8, k, false, p.pairs);
    Described b(p.b);
    for (int j = 0; j < p.columns / 8; ++j)
        for (int side = 0; side < 2; ++side) {
            float sums[2] = {};
            for (int row = 0; row < 2 && p.add; ++row) sums[row] = p.sums[j][row * 2 + side];
            for (int k = 0; k < depth; ++k) {
                float right = b.at(8 * j + 2 * t + side, k, p.across, p.pairs);
                for (int row = 0; row < 2; ++row) sums[row] += p.rows[row][k] * right;
            }
            for (int row = 0; row < 2; ++row) p.sums[j][row * 2 + side] = sums[row];
        }
}

}  // namespace

void begin_product(Product product) {
    product.place = __builtin_return_address(0);
    watch_operands(product, true);
    mine().products.back().push_back(product);
}

void close_products() { mine().products.emplace_back(); }

void wait_for_products(unsigned left) {
    auto& products = mine().products;
    if (products.size() <= left + 1) return;
    auto end = products.end() - (left + 1);
    for (auto group = products.begin(); group != end; ++group)
        for (Product& product : *group) make(product);
    products.erase(products.begin(), end);
}

}  // namespace emulator
