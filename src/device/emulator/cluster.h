// Blocks that run together: they take turns in the one shared memory, and each finds its own there.
#pragma once
#include <cstddef>

namespace emulator {

unsigned char* shared_begin();
size_t shared_offset(const void* at);
// Whether all threads of a block of the cluster are done.
bool has_left(unsigned block);
// Changes to a block of the cluster.
void enter(unsigned block);
unsigned own_block();

// What is done at another block's shared memory.
struct Visit {
    unsigned back = own_block();
    explicit Visit(unsigned block) { enter(block); }
    ~Visit() { enter(back); }
};

// What `enter` does to products and to what is watched.
void enter_products(unsigned block);
void watch_enter(unsigned block);

}  // namespace emulator
