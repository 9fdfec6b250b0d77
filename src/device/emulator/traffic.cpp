// What the accesses of a watched launch cost, warp by warp (see watch.h).
#include "cuda.h"
#include "watch.h"

#include <unordered_map>
#include <vector>

namespace emulator {

namespace {

// A warp's access.
struct Together {
    unsigned region, bytes;
    uint32_t lanes;
    size_t at[32];
};

// What a warp's lanes did at one place since they last met.
struct Place {
    std::vector<Together> accesses;
    size_t used = 0;
    uint32_t counts[32] = {};
};

std::unordered_map<uintptr_t, Place> places;
std::vector<Place*> touched;
Traffic* traffic = nullptr;

// How many different ones there are.
unsigned different(uint64_t* keys, unsigned count) {
    std::sort(keys, keys + count);
    return static_cast<unsigned>(std::unique(keys, keys + count) - keys);
}

// Most words that one bank has to serve, for `count` lanes from `first` on.
unsigned passes_of(const Together& access, unsigned first, unsigned count) {
    uint64_t words[32 * 4];
    unsigned n = 0;
    for (unsigned lane = first; lane < first + count; ++lane) {
        if (!(access.lanes >> lane & 1)) continue;
        for (size_t word = access.at[lane] / 4; word <= (access.at[lane] + access.bytes - 1) / 4 && n < 32 * 4; ++word) words[n++] = word;
    }
    n = different(words, n);
    unsigned banks[32] = {}, most = 0;
    for (unsigned i = 0; i < n; ++i) most = std::max(most, ++banks[words[i] % 32]);
    return most;
}

void count(const Together& access) {
    if (access.region == SHARED_REGION) {
        ++traffic->shared_accesses;
        unsigned at_once = access.bytes <= 4 ? 32 : 128 / access.bytes;
        for (unsigned first = 0; first < 32; first += at_once) traffic->shared_passes += passes_of(access, first, at_once);
        return;
    }
    ++traffic->global_accesses;
    auto blocks = [&](size_t size) {
        uint64_t keys[64];
        unsigned n = 0;
        for (unsigned lane = 0; lane < 32; ++lane) {
            if (!(access.lanes >> lane & 1)) continue;
            keys[n++] = access.at[lane] / size;
            keys[n++] = (access.at[lane] + access.bytes - 1) / size;
        }
        return different(keys, n);
    };
    traffic->global_sectors += blocks(32);
    traffic->global_lines += blocks(128);
}

}  // namespace

void open_traffic(Traffic* totals) {
    traffic = totals;
    places.clear();
    touched.clear();
}

void count_access(const Access& access) {
    unsigned lane = thread_index.x % 32;
    // Places differ by at least 5 bytes, the length of a call.
    Place& place = places[reinterpret_cast<uintptr_t>(access.place) * 2 + access.shared()];
    if (place.used == 0) touched.push_back(&place);
    uint32_t k = place.counts[lane]++;
    if (k >= place.used) {
        if (k >= place.accesses.size()) place.accesses.resize(2 * k + 1);
        place.accesses[k].lanes = 0;
        place.accesses[k].region = access.region;
        place.accesses[k].bytes = static_cast<unsigned>(access.size);
        place.used = k + 1;
    }
    Together& access_of_warp = place.accesses[k];
    access_of_warp.lanes |= 1u << lane;
    access_of_warp.at[lane] = access.at;
}

void count_box(uint64_t rows, uint64_t bytes, uint64_t shared_rows, unsigned blocks) {
    traffic->global_accesses += 1;
    traffic->global_sectors += rows * ((bytes + 31) / 32);
    traffic->global_lines += rows * ((bytes + 127) / 128);
    unsigned copies = static_cast<unsigned>(__builtin_popcount(blocks));
    traffic->shared_accesses += copies;
    traffic->shared_passes += copies * shared_rows;
}

void watch_pause() {
    for (Place* place : touched) {
        for (size_t k = 0; k < place->used; ++k) count(place->accesses[k]);
        place->used = 0;
        std::fill(place->counts, place->counts + 32, 0);
    }
    touched.clear();
}

}  // namespace emulator
