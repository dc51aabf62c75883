// The kernels' source as C++ for a CPU: what a GPU has words for, in words of a C++ compiler.
//
// It is included before `batch_norm.cu`. Nothing is shared with the interpreter of the PTX, nor with NVIDIA's compiler: the
// numbers come from this compiler and this processor, and the conversions from the integer arithmetic below.
//
// A block's threads are fibers: each runs until it waits, for its warp at a shuffle or for its block at a barrier, and
// then the next one does. Blocks run one after the other. Shared memory is static, and filled with a pattern before each
// block.

#pragma once

#define BN_INTRINSICS

#include <csetjmp>
#include <cmath>
#include <cstring>
#include <link.h>
#include <ucontext.h>

#define __device__
#define __global__
// What a program has of each of its own threads lies together, so that all of it is found, and here nothing else is so.
#define __shared__ static thread_local

namespace shim {

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

constexpr u32 WARP = 32;
constexpr u32 MOST_THREADS = 1024;
constexpr u32 STACK = 64 * 1024;

struct Index {
    u32 x, y, z;
};

// What a launch answers.
enum Status : int {
    DONE = 0,
    WRONG_ARGUMENTS = 1,   // the structure has another size
    WRONG_BLOCK = 2,       // more threads than the kernel is compiled for, or a part of a warp
    DIVERGED_SHUFFLE = 3,  // lanes of a warp meet at different places, or not all of them
    DIVERGED_BARRIER = 4,  // threads of a block do
    NO_SHARED_MEMORY = 5,  // it is not found
};

enum State { RUNS, SHUFFLES, WAITS, LEFT };

// A fiber. It is started once and takes up the kernel anew for each block.
struct Thread {
    ucontext_t start;
    jmp_buf at;
    bool started;
    State state;
    u32 shuffles;  // how many it has taken part in
    u32 distance;  // of the shuffle that it waits at
    u32 size;
};

static Thread threads[MOST_THREADS];
static jmp_buf scheduler;
static ucontext_t unused;
static u32 current;
static Index of_thread, of_block, block_size, grid_size;
static void (*kernel)(const void*);
static const void* kernel_arguments;
// What lanes show each other, by turns in one row and the other: who is at the next shuffle already does not write over
// what others have still to read.
static u64 shown[MOST_THREADS / WARP][2][WARP];
alignas(16) static char stacks[MOST_THREADS][STACK];

// Stops this thread until it is resumed.
__attribute__((noinline)) static void wait(State state) {
    threads[current].state = state;
    if (_setjmp(threads[current].at) == 0) _longjmp(scheduler, 1);
}

static void fiber() {
    for (;;) {
        kernel(kernel_arguments);
        wait(LEFT);
    }
}

// Runs a thread until it waits.
__attribute__((noinline)) static void resume(u32 thread) {
    Thread& fiber_of = threads[thread];
    current = thread;
    of_thread.x = thread % block_size.x;
    of_thread.y = thread / block_size.x % block_size.y;
    of_thread.z = thread / block_size.x / block_size.y;
    if (_setjmp(scheduler) != 0) return;
    if (fiber_of.started) _longjmp(fiber_of.at, 1);
    fiber_of.started = true;
    getcontext(&fiber_of.start);
    fiber_of.start.uc_stack.ss_sp = stacks[thread];
    fiber_of.start.uc_stack.ss_size = STACK;
    fiber_of.start.uc_link = &unused;
    makecontext(&fiber_of.start, fiber, 0);
    setcontext(&fiber_of.start);
}

// Runs a warp until all its threads have left, or wait at the barrier.
static Status run_warp(u32 first) {
    for (;;) {
        for (u32 lane = 0; lane < WARP; lane++) {
            threads[first + lane].state = RUNS;
            resume(first + lane);
        }
        const Thread& one = threads[first];
        for (u32 lane = 1; lane < WARP; lane++) {
            const Thread& other = threads[first + lane];
            if (other.state == one.state) {
                if (one.state == SHUFFLES && (other.distance != one.distance || other.size != one.size)) {
                    return DIVERGED_SHUFFLE;
                }
            } else {
                return one.state == SHUFFLES || other.state == SHUFFLES ? DIVERGED_SHUFFLE : DIVERGED_BARRIER;
            }
        }
        if (one.state != SHUFFLES) return DONE;
    }
}

// Shared memory: all that is `thread_local` in this library.
struct Shared {
    char* start;
    size_t size;
};
static thread_local char anchor;

static int find_shared(dl_phdr_info* library, size_t, void* found) {
    Shared& shared = *static_cast<Shared*>(found);
    const char* tls = static_cast<const char*>(library->dlpi_tls_data);
    for (int i = 0; tls && i < library->dlpi_phnum; i++) {
        const ElfW(Phdr)& header = library->dlpi_phdr[i];
        if (header.p_type == PT_TLS && &anchor >= tls && &anchor < tls + header.p_memsz) {
            shared = Shared{static_cast<char*>(library->dlpi_tls_data), header.p_memsz};
            return 1;
        }
    }
    return 0;
}

static Status run_block(u32 count, const Shared& shared) {
    memset(shared.start, 0xa5, shared.size);
    for (;;) {
        for (u32 first = 0; first < count; first += WARP) {
            Status status = run_warp(first);
            if (status != DONE) return status;
        }
        for (u32 first = WARP; first < count; first += WARP) {
            if (threads[first].state != threads[0].state) return DIVERGED_BARRIER;
        }
        if (threads[0].state == LEFT) return DONE;
    }
}

static Status run(const Index& grid, const Index& block, void (*body)(const void*), const void* arguments) {
    u32 count = block.x * block.y * block.z;
    grid_size = grid;
    block_size = block;
    kernel = body;
    kernel_arguments = arguments;
    Shared shared = {nullptr, 0};
    if (dl_iterate_phdr(find_shared, &shared) == 0) return NO_SHARED_MEMORY;
    for (of_block.z = 0; of_block.z < grid.z; of_block.z++) {
        for (of_block.y = 0; of_block.y < grid.y; of_block.y++) {
            for (of_block.x = 0; of_block.x < grid.x; of_block.x++) {
                Status status = run_block(count, shared);
                if (status != DONE) {
                    // Threads stand somewhere within the kernel; they are given up.
                    for (Thread& thread : threads) thread.started = false;
                    return status;
                }
            }
        }
    }
    return DONE;
}

// A kernel's entry: grid, block, the structure and its size.
template <typename Arguments, u32 THREADS_AT_MOST>
static Status enter(const u32* shape, const void* arguments, u64 size, void (*body)(const void*)) {
    if (size != sizeof(Arguments)) return WRONG_ARGUMENTS;
    Index grid = {shape[0], shape[1], shape[2]}, block = {shape[3], shape[4], shape[5]};
    u64 count = u64(block.x) * block.y * block.z;
    if (count == 0 || count > THREADS_AT_MOST || count > MOST_THREADS || count % WARP != 0) return WRONG_BLOCK;
    Arguments copy;
    memcpy(&copy, arguments, sizeof copy);
    return run(grid, block, body, &copy);
}

}  // namespace shim

#define threadIdx shim::of_thread
#define blockIdx shim::of_block
#define blockDim shim::block_size
#define gridDim shim::grid_size

// The name is a macro's; it has to be a word before anything is joined to it.
#define KERNEL(name, Arguments, threads) KERNEL_(name, Arguments, threads)
#define KERNEL_(name, Arguments, threads)                                                                             \
    static void name##_body(const Arguments& arguments);                                                              \
    extern "C" __attribute__((visibility("default"))) int name(const unsigned int* shape, const void* arguments,      \
                                                               unsigned long long size) {                             \
        return shim::enter<Arguments, threads>(shape, arguments, size, [](const void* arguments) {                    \
            name##_body(*static_cast<const Arguments*>(arguments));                                                   \
        });                                                                                                           \
    }                                                                                                                 \
    static void name##_body(const Arguments& arguments)

inline void __syncthreads() { shim::wait(shim::WAITS); }

template <typename T>
inline T __shfl_down_sync(unsigned int mask, T own, unsigned int distance) {
    static_assert(sizeof(T) <= sizeof(shim::u64), "a register, or two");
    shim::u32 thread = shim::current, lane = thread % shim::WARP;
    shim::Thread& state = shim::threads[thread];
    shim::u64(&row)[shim::WARP] = shim::shown[thread / shim::WARP][state.shuffles++ % 2];
    memcpy(&row[lane], &own, sizeof own);
    // Of a part of a warp nothing is asked here.
    state.distance = mask == 0xffffffffu ? distance : ~thread;
    state.size = sizeof own;
    shim::wait(shim::SHUFFLES);
    if (lane + distance < shim::WARP) memcpy(&own, &row[lane + distance], sizeof own);
    return own;
}

// 16 bytes of whatever type.
struct __attribute__((may_alias, aligned(16))) uint4 {
    unsigned int x, y, z, w;
};

inline uint4 make_uint4(unsigned int x, unsigned int y, unsigned int z, unsigned int w) { return uint4{x, y, z, w}; }

inline uint4 load_16_bytes(const void* from) {
    uint4 words;
    memcpy(&words, __builtin_assume_aligned(from, 16), sizeof words);
    return words;
}

inline void store_16_bytes(void* to, const uint4& words) {
    memcpy(__builtin_assume_aligned(to, 16), &words, sizeof words);
}

inline unsigned int __umulhi(unsigned int a, unsigned int b) {
    return static_cast<unsigned int>((static_cast<unsigned long long>(a) * b) >> 32);
}

inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}

template <typename To, typename From>
inline To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

inline float __uint_as_float(unsigned int bits) { return bits_as<float>(bits); }
inline unsigned int __float_as_uint(float value) { return bits_as<unsigned int>(value); }

inline double __hiloint2double(int high, int low) {
    unsigned long long upper = static_cast<unsigned int>(high);
    return bits_as<double>((upper << 32) | static_cast<unsigned int>(low));
}
inline int __double2loint(double value) { return static_cast<int>(bits_as<unsigned long long>(value)); }
inline int __double2hiint(double value) { return static_cast<int>(bits_as<unsigned long long>(value) >> 32); }

// Towards zero: where the nearest float is farther from zero, the one before it. That of infinity is the largest.
inline float __double2float_rz(double value) {
    float nearest = static_cast<float>(value);
    if (!(std::fabs(static_cast<double>(nearest)) > std::fabs(value))) return nearest;
    return __uint_as_float(__float_as_uint(nearest) - 1);
}

// binary16 from its fields: 1 sign, 5 exponent, 10 fraction.
inline float float_of_half(unsigned short bits) {
    unsigned int sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 0x1fu, fraction = bits & 0x3ffu;
    if (exponent == 0x1f) return __uint_as_float(sign | 0x7f800000u | (fraction << 13));
    if (exponent != 0) return __uint_as_float(sign | ((exponent + 112) << 23) | (fraction << 13));
    if (fraction == 0) return __uint_as_float(sign);
    // Subnormal: shifted until the leading bit is where the implied one belongs.
    exponent = 113;
    while ((fraction & 0x400u) == 0) {
        fraction <<= 1;
        exponent--;
    }
    return __uint_as_float(sign | (exponent << 23) | ((fraction & 0x3ffu) << 13));
}

// And back, to the nearest, ties to even.
inline unsigned short half_of_float(float value) {
    unsigned int bits = __float_as_uint(value), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<unsigned short>(0x7fffu);
    if (magnitude >= 0x47800000u) return static_cast<unsigned short>(sign | 0x7c00u);  // 2^16 and infinity
    int exponent = static_cast<int>(magnitude >> 23) - 127;
    if (exponent < -25) return static_cast<unsigned short>(sign);
    // 11 bits stay of 24; of a subnormal fewer.
    unsigned int fraction = (magnitude & 0x7fffffu) | 0x800000u;
    unsigned int dropped = exponent < -14 ? static_cast<unsigned int>(13 + (-14 - exponent)) : 13u;
    unsigned int kept = fraction >> dropped, rest = fraction & ((1u << dropped) - 1), half = 1u << (dropped - 1);
    if (rest > half || (rest == half && (kept & 1) != 0)) kept++;
    // The implied bit adds 1 to the exponent field, and so does a carry.
    unsigned int field = exponent < -14 ? 0u : static_cast<unsigned int>(exponent + 14) << 10;
    return static_cast<unsigned short>(sign | (field + kept));
}

// IEEE: the processor's own.
inline float square_root(float value) { return std::sqrt(value); }
inline double square_root(double value) { return std::sqrt(value); }
