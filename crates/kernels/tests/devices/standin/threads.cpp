// The threads of a block are fibers that switch where they wait for each other: at barriers and at warp exchanges.
#include "standin.h"
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <link.h>
#include <map>
#include <set>
#include <sys/mman.h>
#include <unistd.h>

#ifndef __x86_64__
#error "fibers are written for x86-64"
#endif

std::recursive_mutex standin_lock;

struct uint3 {
    unsigned x, y, z;
};
__attribute__((visibility("default"))) uint3 threadIdx, blockIdx, blockDim, gridDim;

// Saves the callee-saved registers on the stack, stores the stack pointer in *from, and switches to `to`.
extern "C" void standin_switch(void **from, void *to);
asm(R"(
.text
.type standin_switch,@function
standin_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
.size standin_switch,.-standin_switch
)");

namespace {
const unsigned WARP = 32;
const size_t STACK = 128 * 1024;

struct Place {
    const char *file;
    int line;
    bool operator<(const Place &other) const { return line != other.line ? line < other.line : strcmp(file, other.file) < 0; }
    bool operator!=(const Place &other) const { return *this < other || other < *this; }
};

enum State { READY, AT_BARRIER, AT_EXCHANGE, ENDED };

struct Thread {
    State state;
    Place place;
    unsigned mask;
    // Number of exchanges. Two consecutive ones use separate buffers, since a lane may be one ahead of the others.
    unsigned exchanges;
    int fiber;
    uint3 index;
};

struct Lane {
    alignas(16) unsigned char bytes[16];
};
struct Warp {
    Lane values[2][WARP];
};

struct Fiber {
    char *stack;
    void *pointer;
};

Kernel *kernel = nullptr;
const char *library = nullptr;
void **arguments;
const char *order_name = "";
std::vector<Fiber> fibers;
std::vector<int> idle;
std::vector<Thread> threads;
std::vector<Warp> warps;
unsigned count, current, ended;
void *scheduler;

[[noreturn]] void body() {
    kernel->call(arguments);
    threads[current].state = ENDED;
    ++ended;
    // The next use of this fiber starts from the beginning.
    standin_switch(&fibers[threads[current].fiber].pointer, scheduler);
    abort();
}

void begin(Fiber &fiber) {
    if (!fiber.stack) {
        char *pages = (char *)mmap(nullptr, STACK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (pages == MAP_FAILED || mprotect(pages + 4096, STACK - 4096, PROT_READ | PROT_WRITE)) wrong("no memory for a thread's stack");
        fiber.stack = pages;
    }
    // What standin_switch pops, then its return address; functions expect the stack 8 bytes off a multiple of 16.
    void **top = (void **)(fiber.stack + STACK) - 1;
    *top = nullptr;
    *--top = (void *)body;
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    fiber.pointer = top;
}

void resume(unsigned thread) {
    Thread &self = threads[thread];
    if (self.fiber < 0) {
        if (idle.empty()) {
            fibers.push_back({nullptr, nullptr});
            idle.push_back((int)fibers.size() - 1);
        }
        self.fiber = idle.back();
        idle.pop_back();
        begin(fibers[self.fiber]);
    }
    current = thread;
    threadIdx = self.index;
    standin_switch(&scheduler, fibers[self.fiber].pointer);
    if (self.state == ENDED) {
        idle.push_back(self.fiber);
        self.fiber = -1;
    }
}

void wait(State state, Place place, unsigned mask) {
    Thread &self = threads[current];
    self.state = state, self.place = place, self.mask = mask;
}

void give_way() { standin_switch(&fibers[threads[current].fiber].pointer, scheduler); }

// Reports where the threads of a deadlocked block wait.
[[noreturn]] void stuck() {
    std::map<Place, unsigned> waiting;
    for (unsigned thread = 0; thread < count; ++thread) {
        if (threads[thread].state != ENDED) ++waiting[threads[thread].place];
    }
    std::string text;
    for (auto &[place, how_many] : waiting) {
        const char *slash = strrchr(place.file, '/');
        text += std::to_string(how_many) + " threads wait at " + (slash ? slash + 1 : place.file) + ":" + std::to_string(place.line) + ", ";
    }
    wrong("a barrier is not reached by all: %s%u have ended", text.c_str(), ended);
}

// Releases the threads at a barrier once every thread of the block waits there.
void release_barrier() {
    for (unsigned thread = 0; thread < count; ++thread) {
        if (threads[thread].state != AT_BARRIER || threads[thread].place != threads[0].place) return;
    }
    for (unsigned thread = 0; thread < count; ++thread) threads[thread].state = READY;
}

void release_exchange(unsigned warp, unsigned mask, Place place) {
    for (unsigned lane = 0; lane < WARP; ++lane) {
        if (!(mask >> lane & 1)) continue;
        unsigned thread = warp * WARP + lane;
        if (thread >= count) return;
        Thread &other = threads[thread];
        if (other.state != AT_EXCHANGE || other.mask != mask || other.place != place) return;
    }
    for (unsigned lane = 0; lane < WARP; ++lane) {
        if (mask >> lane & 1) threads[warp * WARP + lane].state = READY;
    }
}

// Shared memory is the thread-local memory of the kernel's library.
struct Shared {
    void *start;
    size_t size;
};

struct TlsIndex {
    unsigned long module, offset;
};
extern "C" void *__tls_get_addr(TlsIndex *);

Shared shared_memory(const void *in_library) {
    struct Search {
        uintptr_t address;
        Shared found;
    } search = {(uintptr_t)in_library, {nullptr, 0}};
    dl_iterate_phdr(
        [](dl_phdr_info *info, size_t, void *data) {
            Search &search = *(Search *)data;
            size_t shared = 0;
            bool here = false;
            for (int i = 0; i < info->dlpi_phnum; ++i) {
                const ElfW(Phdr) &header = info->dlpi_phdr[i];
                uintptr_t start = info->dlpi_addr + header.p_vaddr;
                if (header.p_type == PT_LOAD) here |= start <= search.address && search.address < start + header.p_memsz;
                if (header.p_type == PT_TLS) shared = header.p_memsz;
            }
            if (!here) return 0;
            if (shared) {
                TlsIndex index = {info->dlpi_tls_modid, 0};
                search.found = {__tls_get_addr(&index), shared};
            }
            return 1;
        },
        &search);
    return search.found;
}

void run_block(const std::vector<unsigned> &order) {
    ended = 0;
    for (unsigned thread = 0; thread < count; ++thread) {
        uint3 index = {thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / blockDim.x / blockDim.y};
        threads[thread] = {READY, {"", 0}, 0, 0, -1, index};
    }
    while (ended < count) {
        bool moved = false;
        for (unsigned thread : order) {
            if (threads[thread].state == READY) {
                resume(thread);
                moved = true;
            }
        }
        if (!moved) stuck();
    }
}

uint64_t seed() {
    const char *given = getenv("BRAINPRIOR_STANDIN_SEED");
    return given ? strtoull(given, nullptr, 10) : 1;
}

// Forward and backward run any two threads, and any two blocks, in either order; a shuffle puts others between them.
const char *const ORDERS[] = {"forward", "backward", "shuffled"};

std::vector<unsigned> order_of(size_t count, int which) {
    std::vector<unsigned> order(count);
    for (size_t i = 0; i < count; ++i) order[i] = which == 1 ? count - 1 - i : i;
    uint64_t state = seed() * 0x9e3779b97f4a7c15u + count;
    for (size_t i = count; which == 2 && i > 1; --i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        std::swap(order[i - 1], order[(state >> 33) % i]);
    }
    return order;
}

void run_grid(Size grid, int which) {
    order_name = ORDERS[which];
    std::vector<unsigned> order = order_of(count, which), blocks = order_of((size_t)grid.x * grid.y * grid.z, which);
    Shared shared = shared_memory((const void *)kernel->call);
    for (unsigned block : blocks) {
        blockIdx = {block % grid.x, block / grid.x % grid.y, block / grid.x / grid.y};
        if (shared.size) memset(shared.start, 0xff, shared.size);
        run_block(order);
    }
}
} // namespace

EXPORT void standin_barrier(const char *file, int line) {
    wait(AT_BARRIER, {file, line}, 0);
    release_barrier();
    give_way();
}

EXPORT const Lane *standin_exchange(unsigned mask, const void *mine, size_t size, const char *file, int line) {
    unsigned warp = current / WARP, turn = threads[current].exchanges++ % 2;
    Lane *lanes = warps[warp].values[turn];
    memcpy(lanes[current % WARP].bytes, mine, size);
    wait(AT_EXCHANGE, {file, line}, mask);
    release_exchange(warp, mask, {file, line});
    give_way();
    return lanes;
}

std::string running() {
    if (library) return library;
    if (!kernel) return "";
    char text[256];
    snprintf(text, sizeof text, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u), threads %s", kernel->name, blockIdx.x, blockIdx.y,
             blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z, order_name);
    return text;
}

void wrong(const char *format, ...) {
    char text[1024];
    va_list parts;
    va_start(parts, format);
    vsnprintf(text, sizeof text, format, parts);
    va_end(parts);
    std::string what = running();
    fprintf(stderr, "stand-in for a GPU: %s%s%s\n", what.c_str(), what.empty() ? "" : ": ", text);
    fflush(stderr);
    _exit(70);
}

Running::Running(const char *what) { library = what; }
Running::~Running() { library = nullptr; }

void launch(Kernel &which, Size grid, Size block, void **parameters) {
    kernel = &which, arguments = parameters;
    ++which.launches;
    blockDim = {block.x, block.y, block.z}, gridDim = {grid.x, grid.y, grid.z};
    count = block.x * block.y * block.z;
    threads.resize(count);
    warps.resize((count + WARP - 1) / WARP);

    std::map<uintptr_t, Block> written;
    for (int i = 0; i < which.parameters; ++i) {
        uintptr_t pointer = which.writes >> i & 1 ? *(uintptr_t *)parameters[i] : 0;
        Block found = pointer ? block_with(pointer, 1) : Block{0, 0};
        if (found.size) written[found.start] = found;
    }
    auto bytes = [](const Block &block) { return std::vector<unsigned char>((unsigned char *)block.start, (unsigned char *)block.start + block.size); };
    std::vector<std::vector<unsigned char>> before, first;
    for (auto &[start, block] : written) before.push_back(bytes(block));
    run_grid(grid, 0);
    for (auto &[start, block] : written) {
        if (!is_whole(block)) wrong("writes beyond the edge of a block of %zu bytes", block.size);
        first.push_back(bytes(block));
    }
    for (int order = 1; order < 3; ++order) {
        size_t which_block = 0;
        for (auto &[start, block] : written) memcpy((void *)start, before[which_block++].data(), block.size);
        run_grid(grid, order);
        which_block = 0;
        for (auto &[start, block] : written) {
            const std::vector<unsigned char> &expected = first[which_block++];
            for (size_t at = 0; at < block.size; ++at) {
                if (((unsigned char *)start)[at] != expected[at]) {
                    wrong("a race: byte %zu of a block of %zu bytes differs from what the order forward leaves", at, block.size);
                }
            }
        }
    }
    kernel = nullptr;
}
