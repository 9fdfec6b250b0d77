// A driver without a card: the calls of libcuda that the engine makes, with the host's memory as the card's and the emulated
// kernels as its code. So the way to a card (memory, arguments, recording and repeating a step) runs where there is none.
//
// As late as a real one may be: nothing in the stream is done before somebody waits for it, so that the host's memory must hold
// until then, and what fails is told by the wait. Stricter than a real one: every thread must have bound the card, memory is
// checked at every copy, and while a step is recorded nothing may be allocated, freed, uploaded, downloaded or waited for.
// A kernel for which no room was made (cuFuncSetAttribute) for the blocks that are to share a multiprocessor is refused, and so is one
// that asks for more shared memory than it was allowed, or for another amount than its code takes.
// STRIATE_DRIVER_MEMORY sets the card's bytes (1 GiB), STRIATE_DRIVER_MAJOR its compute capability (9), STRIATE_DRIVER_FAILS names a
// kernel that fails, STRIATE_DRIVER_DEAF the number of an attribute of kernels that is not taken in; kernels are found by their code.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <malloc.h>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

// What build.rs knows of every kernel: the code it is in, by hash, and how to run it here.
struct Entry {
    uint64_t code;
    const char* name;
    int sizes[24];  // bytes of each parameter, then 0
    int resident, cluster, shared_bytes, dynamic_bytes;  // resident: blocks that are to fit on a multiprocessor
    void (*run)(void**);
    void (*shared)(uint32_t**);
};
extern const Entry striate_entries[];
extern const size_t striate_entry_count;

extern "C" int striate_emulate(void (*kernel)(void**), void** args, const unsigned* grid, unsigned threads, unsigned together,
                               unsigned kind, uint16_t* const* outputs, const size_t* halves, const size_t* widths, size_t output_count,
                               uint32_t* const* shared, void* watch, char* message, size_t message_size);

namespace {

enum Status { SUCCESS = 0, INVALID = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, NOT_FOUND = 500, LAUNCH_FAILED = 719, CAPTURE_UNSUPPORTED = 900 };

typedef std::vector<std::function<int()>> Work;

std::recursive_mutex one;
std::map<uint64_t, size_t> blocks;
size_t used = 0;
std::unique_ptr<Work> recording;
Work asked;
int failed = SUCCESS;
thread_local void* current = nullptr;

std::set<void*> pinned;
const int SHARED_MEMORY = 228 << 10;
const int MOST_STATIC = 48 << 10;  // more is dynamic, and allowed before a launch asks for it
std::map<const Entry*, int> shared_percent, allowed_bytes;

size_t capacity() {
    const char* text = std::getenv("STRIATE_DRIVER_MEMORY");
    return text ? std::strtoull(text, nullptr, 10) : size_t(1) << 30;
}

bool holds(uint64_t address, size_t bytes) {
    auto next = blocks.upper_bound(address);
    if (next == blocks.begin()) return false;
    --next;
    return address + bytes <= next->first + next->second;
}

// Keeps it for the recorded step, or until somebody waits.
int stream(std::function<int()> work) {
    (recording ? *recording : asked).push_back(std::move(work));
    return failed;
}

// Does what was asked; after a failure nothing more.
int wait() {
    Work now;
    now.swap(asked);
    for (auto& work : now)
        if (failed == SUCCESS) failed = work();
    return failed;
}

// What a parameter may hold.
struct alignas(64) Value {
    uint64_t words[16];
};
const uint64_t DESCRIBED = 0xb0e5;  // the last word of a matrix's description

struct Loaded {
    uint64_t code;
};

}  // namespace

#define CALL extern "C" __attribute__((visibility("default"))) int
#define ALONE std::lock_guard<std::recursive_mutex> alone(one)
#define BOUND \
    ALONE;    \
    if (!current) return INVALID_CONTEXT
#define NOT_WHILE_RECORDING \
    BOUND;                  \
    if (recording) return CAPTURE_UNSUPPORTED

CALL cuInit(unsigned) { return SUCCESS; }
CALL cuDeviceGetCount(int* n) { return *n = 1, SUCCESS; }
CALL cuDeviceGet(int* device, int ordinal) { return *device = ordinal, ordinal == 0 ? SUCCESS : INVALID; }
CALL cuDeviceGetName(char* name, int size, int) { return std::snprintf(name, size, "driver without a card"), SUCCESS; }
CALL cuDeviceTotalMem_v2(size_t* bytes, int) { return *bytes = capacity(), SUCCESS; }
CALL cuDeviceGetAttribute(int* value, int attribute, int) {
    // Compute capability, 9.0 unless asked for another; shared memory of a multiprocessor.
    const char* major = std::getenv("STRIATE_DRIVER_MAJOR");
    *value = attribute == 75 ? (major ? std::atoi(major) : 9) : attribute == 81 ? SHARED_MEMORY : 0;
    return SUCCESS;
}
CALL cuDevicePrimaryCtxRetain(void** context, int) { return *context = &used, SUCCESS; }
CALL cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
CALL cuCtxSetCurrent(void* context) { return current = context, SUCCESS; }
CALL cuCtxGetCurrent(void** context) { return *context = current, SUCCESS; }
CALL cuCtxSynchronize() { NOT_WHILE_RECORDING; return wait(); }
CALL cuGetErrorName(int status, const char** text) {
    switch (status) {
        case OUT_OF_MEMORY: return *text = "CUDA_ERROR_OUT_OF_MEMORY", SUCCESS;
        case INVALID_CONTEXT: return *text = "CUDA_ERROR_INVALID_CONTEXT", SUCCESS;
        case NOT_FOUND: return *text = "CUDA_ERROR_NOT_FOUND", SUCCESS;
        case LAUNCH_FAILED: return *text = "CUDA_ERROR_LAUNCH_FAILED", SUCCESS;
        case CAPTURE_UNSUPPORTED: return *text = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", SUCCESS;
        default: return *text = "CUDA_ERROR_INVALID_VALUE", SUCCESS;
    }
}
CALL cuGetErrorString(int status, const char** text) { return cuGetErrorName(status, text); }

CALL cuMemGetInfo_v2(size_t* free, size_t* total) {
    ALONE;
    *total = capacity();
    *free = *total - used;
    return SUCCESS;
}
CALL cuMemAlloc_v2(uint64_t* address, size_t bytes) {
    NOT_WHILE_RECORDING;
    if (bytes == 0) return INVALID;
    if (used + bytes > capacity()) return OUT_OF_MEMORY;
    void* block = std::malloc(bytes);
    std::memset(block, 0x7f, bytes);
    *address = reinterpret_cast<uint64_t>(block);
    blocks[*address] = bytes;
    used += bytes;
    return SUCCESS;
}
CALL cuMemFree_v2(uint64_t address) {
    NOT_WHILE_RECORDING;
    auto block = blocks.find(address);
    if (block == blocks.end()) return INVALID;
    wait();
    used -= block->second;
    blocks.erase(block);
    std::free(reinterpret_cast<void*>(address));
    return SUCCESS;
}
CALL cuMemHostAlloc(void** block, size_t bytes, unsigned) {
    NOT_WHILE_RECORDING;
    *block = std::malloc(bytes);
    std::memset(*block, 0x7f, bytes);
    pinned.insert(*block);
    return SUCCESS;
}
CALL cuMemFreeHost(void* block) {
    NOT_WHILE_RECORDING;
    if (!pinned.erase(block)) return INVALID;
    std::memset(block, 0x7f, malloc_usable_size(block));
    return std::free(block), SUCCESS;
}
CALL cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, void*) {
    NOT_WHILE_RECORDING;
    if (!holds(to, bytes)) return INVALID;
    return stream([=] { return std::memcpy(reinterpret_cast<void*>(to), from, bytes), SUCCESS; });
}
CALL cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, void*) {
    NOT_WHILE_RECORDING;
    if (!holds(from, bytes)) return INVALID;
    return stream([=] { return std::memcpy(to, reinterpret_cast<void*>(from), bytes), SUCCESS; });
}
CALL cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void*) {
    BOUND;
    return stream([=] {
        if (!holds(to, bytes) || !holds(from, bytes)) return INVALID;
        return std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes), SUCCESS;
    });
}
CALL cuMemsetD8Async(uint64_t to, unsigned char value, size_t bytes, void*) {
    BOUND;
    return stream([=] {
        if (!holds(to, bytes)) return INVALID;
        return std::memset(reinterpret_cast<void*>(to), value, bytes), SUCCESS;
    });
}
CALL cuMemsetD32Async(uint64_t to, unsigned value, size_t words, void*) {
    BOUND;
    return stream([=] {
        if (!holds(to, words * 4)) return INVALID;
        for (size_t i = 0; i < words; ++i) reinterpret_cast<unsigned*>(to)[i] = value;
        return SUCCESS;
    });
}

CALL cuStreamCreate(void** stream, unsigned) { return *stream = &recording, SUCCESS; }
CALL cuStreamDestroy_v2(void*) { return SUCCESS; }
CALL cuStreamSynchronize(void*) { NOT_WHILE_RECORDING; return wait(); }
CALL cuStreamWaitEvent(void*, void*, unsigned) { return SUCCESS; }
CALL cuStreamBeginCapture_v2(void*, int) {
    NOT_WHILE_RECORDING;
    recording.reset(new Work);
    return SUCCESS;
}
CALL cuStreamEndCapture(void*, void** graph) {
    ALONE;
    *graph = recording.release();
    return *graph ? SUCCESS : INVALID;
}
CALL cuGraphInstantiateWithFlags(void** exec, void* graph, unsigned long long) {
    NOT_WHILE_RECORDING;
    *exec = new Work(*static_cast<Work*>(graph));
    return SUCCESS;
}
CALL cuGraphLaunch(void* exec, void*) {
    NOT_WHILE_RECORDING;
    for (auto& work : *static_cast<Work*>(exec)) stream(work);
    return failed;
}
CALL cuGraphExecDestroy(void* exec) { return delete static_cast<Work*>(exec), SUCCESS; }
CALL cuGraphDestroy(void* graph) { return delete static_cast<Work*>(graph), SUCCESS; }

typedef std::chrono::steady_clock Clock;
CALL cuEventCreate(void** event, unsigned) { return *event = new Clock::time_point, SUCCESS; }
CALL cuEventRecord(void* event, void*) {
    NOT_WHILE_RECORDING;
    return stream([=] { return *static_cast<Clock::time_point*>(event) = Clock::now(), SUCCESS; });
}
CALL cuEventSynchronize(void*) { NOT_WHILE_RECORDING; return wait(); }
CALL cuEventDestroy_v2(void* event) {
    BOUND;
    wait();
    return delete static_cast<Clock::time_point*>(event), SUCCESS;
}
CALL cuEventElapsedTime(float* ms, void* from, void* to) {
    std::chrono::duration<float, std::milli> passed = *static_cast<Clock::time_point*>(to) - *static_cast<Clock::time_point*>(from);
    return *ms = passed.count(), SUCCESS;
}
CALL cuEventElapsedTime_v2(float* ms, void* from, void* to) { return cuEventElapsedTime(ms, from, to); }

// FNV-1a of an ELF file, whose length its section headers tell, or of text (build.rs has the same).
CALL cuModuleLoadData(void** module, const void* image) {
    NOT_WHILE_RECORDING;
    const unsigned char* bytes = static_cast<const unsigned char*>(image);
    uint64_t length;
    if (std::memcmp(bytes, "\177ELF", 4) != 0) {
        length = std::strlen(static_cast<const char*>(image));
    } else {
        uint64_t sections, programs;
        uint16_t sizes[3], section_sizes[2];
        std::memcpy(&programs, bytes + 32, 8);
        std::memcpy(&sections, bytes + 40, 8);
        std::memcpy(sizes, bytes + 52, 6);
        std::memcpy(section_sizes, bytes + 58, 4);
        length = std::max(sections + uint64_t(section_sizes[0]) * section_sizes[1], programs + uint64_t(sizes[1]) * sizes[2]);
    }
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint64_t i = 0; i < length; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
    *module = new Loaded{hash};
    return SUCCESS;
}
CALL cuModuleUnload(void* module) { return delete static_cast<Loaded*>(module), SUCCESS; }
CALL cuModuleGetFunction(const void** function, void* module, const char* name) {
    NOT_WHILE_RECORDING;
    for (size_t i = 0; i < striate_entry_count; ++i) {
        const Entry& e = striate_entries[i];
        if (e.code == static_cast<Loaded*>(module)->code && std::strcmp(e.name, name) == 0) return *function = &e, SUCCESS;
    }
    return NOT_FOUND;
}
CALL cuFuncGetAttribute(int* value, int attribute, const Entry* entry) {
    return *value = entry->shared_bytes, attribute == 1 ? SUCCESS : INVALID;
}
CALL cuFuncSetAttribute(const Entry* entry, int attribute, int value) {
    NOT_WHILE_RECORDING;
    const char* deaf = std::getenv("STRIATE_DRIVER_DEAF");
    if (deaf && std::atoi(deaf) == attribute) return SUCCESS;
    if (attribute == 8) return allowed_bytes[entry] = value, SUCCESS;
    shared_percent[entry] = value;
    return attribute == 9 ? SUCCESS : INVALID;
}
// A matrix of words in rows, whose boxes are 128 bytes wide, for the emulated copy engine (boxes.h); what else a driver refuses.
CALL cuTensorMapEncodeTiled(Value* map, int type, unsigned axes, uint64_t address, const uint64_t* lengths, const uint64_t* strides,
                            const unsigned* box, const unsigned* steps, int interleaved, int swizzle, int, int) {
    const int UINT32 = 2, SWIZZLE_128 = 3;
    if (type != UINT32 || axes != 2 || interleaved != 0 || swizzle != SWIZZLE_128 || steps[0] != 1 || steps[1] != 1) return INVALID;
    if (reinterpret_cast<uintptr_t>(map) % 64 != 0 || address % 16 != 0 || strides[0] % 16 != 0) return INVALID;
    if (strides[0] != lengths[0] * 4 || box[0] * 4 != 128 || box[1] == 0 || box[1] > 256) return INVALID;
    for (int i = 0; i < 2; ++i)
        if (lengths[i] == 0 || lengths[i] > uint64_t(1) << 32) return INVALID;
    *map = {{address, lengths[0], lengths[1], box[1]}};
    map->words[15] = DESCRIBED;
    return SUCCESS;
}
CALL cuLaunchKernel(const Entry* entry, unsigned gx, unsigned gy, unsigned gz, unsigned threads, unsigned, unsigned, unsigned dynamic,
                    void*, void** arguments, void**) {
    BOUND;
    int bytes = entry->shared_bytes + dynamic;
    if (int(dynamic) != entry->dynamic_bytes || (bytes > MOST_STATIC && allowed_bytes[entry] < int(dynamic))) return INVALID;
    if (entry->resident > 1 && shared_percent[entry] / 100.0 * SHARED_MEMORY < entry->resident * (bytes + 1024)) return INVALID;
    if (gx % entry->cluster != 0) return INVALID;
    std::vector<Value> values;
    for (int i = 0; entry->sizes[i] > 0; ++i) {
        values.emplace_back();
        std::memcpy(values[i].words, arguments[i], entry->sizes[i]);
        bool described = entry->sizes[i] == sizeof(Value);
        if (described && values[i].words[15] != DESCRIBED) return INVALID;
    }
    return stream([=]() mutable {
        std::vector<void*> pointers;
        for (auto& v : values) {
            const uint64_t* w = v.words;
            if (w[15] == DESCRIBED && !holds(w[0], w[1] * w[2] * 4)) return LAUNCH_FAILED;
            pointers.push_back(&v);
        }
        unsigned grid[3] = {gx, gy, gz};
        uint32_t* shared[2];
        char message[256] = "";
        entry->shared(shared);
        int failed = striate_emulate(entry->run, pointers.data(), grid, threads, entry->cluster, 0, nullptr, nullptr, nullptr, 0, shared, nullptr, message, sizeof message);
        if (failed) std::fprintf(stderr, "%s: %s\n", entry->name, message);
        const char* fails = std::getenv("STRIATE_DRIVER_FAILS");
        failed |= fails && std::strcmp(fails, entry->name) == 0;
        return failed ? LAUNCH_FAILED : SUCCESS;
    });
}
