// Device memory: each block ends at a page that faults, fresh memory holds NaN, and freed memory faults.
#include "standin.h"
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <sys/mman.h>
#include <unistd.h>

namespace {
const size_t PAGE = 4096;
// Packs of values are read at once, so blocks start at multiples of this.
const size_t ALIGNMENT = 16;
// Guard on both sides of a block, as large as wrong indices are likely to be.
const size_t GUARD = 64 * PAGE;
// NaN as f32, f64 and bf16, far out of range as an index; fills fresh blocks and the surroundings of all.
const int POISON = 0xff;
// Freed blocks to which accesses are still recognized.
const size_t REMEMBERED = 256;

struct Mapping {
    uintptr_t start;
    size_t size;
    uintptr_t pages;
    size_t mapped;
    bool freed;
};

// By the first page, which faults like the last one.
std::map<uintptr_t, Mapping> mappings;
std::map<uintptr_t, uintptr_t> pages_of;
std::deque<uintptr_t> freed;
size_t in_use = 0;
struct sigaction segmentation_before, illegal_before;

size_t rounded_up(size_t size, size_t to) { return (size + to - 1) / to * to; }

const Mapping *mapping_of(uintptr_t address) {
    auto next = mappings.upper_bound(address);
    if (next == mappings.begin()) return nullptr;
    const Mapping &found = std::prev(next)->second;
    return address < found.pages + found.mapped ? &found : nullptr;
}

void pass_on(const struct sigaction &before, int signal, siginfo_t *info, void *context) {
    if (before.sa_flags & SA_SIGINFO) return before.sa_sigaction(signal, info, context);
    if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(signal);
    ::signal(signal, SIG_DFL);
    raise(signal);
}

void on_segmentation(int signal, siginfo_t *info, void *context) {
    uintptr_t address = (uintptr_t)info->si_addr;
    if (running().empty() && !mapping_of(address)) return pass_on(segmentation_before, signal, info, context);
    const Mapping *found = mapping_of(address);
    if (!found) wrong("touches address %#lx, which is no memory of the device", (unsigned long)address);
    if (found->freed) wrong("touches byte %ld of a block of %zu bytes that was freed", (long)(address - found->start), found->size);
    if (address < found->start) wrong("touches what lies %zu bytes before a block of %zu bytes", found->start - address, found->size);
    wrong("touches byte %zu of a block of %zu bytes", address - found->start, found->size);
}

// The sources are compiled to trap where an index leaves an array whose size is known (shared memory) or where a pack is read
// from an address that is not aligned for it.
void on_illegal(int signal, siginfo_t *info, void *context) {
    if (running().empty()) return pass_on(illegal_before, signal, info, context);
    wrong("leaves an array of shared or local memory, or reads at an address that is not aligned for the type");
}

void handle(int signal, void (*handler)(int, siginfo_t *, void *), struct sigaction *before) {
    struct sigaction action = {};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(signal, &action, before);
}
} // namespace

void watch_memory() {
    handle(SIGSEGV, on_segmentation, &segmentation_before);
    handle(SIGILL, on_illegal, &illegal_before);
}

uintptr_t new_block(size_t size) {
    size_t room = rounded_up(size ? size : 1, ALIGNMENT), inner = rounded_up(room, PAGE), mapped = inner + 2 * GUARD;
    void *pages = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) return 0;
    uintptr_t first = (uintptr_t)pages;
    if (mprotect((void *)(first + GUARD), inner, PROT_READ | PROT_WRITE)) {
        munmap(pages, mapped);
        return 0;
    }
    uintptr_t start = first + GUARD + inner - room;
    memset((void *)(first + GUARD), POISON, inner);
    mappings[first] = {start, size, first, mapped, false};
    pages_of[start] = first;
    in_use += size;
    return start;
}

bool free_block(uintptr_t start) {
    auto found = pages_of.find(start);
    if (found == pages_of.end()) return false;
    Mapping &mapping = mappings[found->second];
    if (!is_whole({mapping.start, mapping.size})) wrong("a block of %zu bytes was written to beyond its edges", mapping.size);
    madvise((void *)mapping.pages, mapping.mapped, MADV_DONTNEED);
    mprotect((void *)mapping.pages, mapping.mapped, PROT_NONE);
    mapping.freed = true;
    in_use -= mapping.size;
    freed.push_back(found->second);
    pages_of.erase(found);
    if (freed.size() > REMEMBERED) {
        Mapping oldest = mappings[freed.front()];
        munmap((void *)oldest.pages, oldest.mapped);
        mappings.erase(freed.front());
        freed.pop_front();
    }
    return true;
}

Block block_with(uintptr_t start, size_t size) {
    const Mapping *found = mapping_of(start);
    if (!found || found->freed || start < found->start || start + size > found->start + found->size) return {0, 0};
    return {found->start, found->size};
}

bool is_whole(Block block) {
    auto edge = [](uintptr_t from, uintptr_t to) {
        for (; from < to; ++from) {
            if (*(unsigned char *)from != POISON) return false;
        }
        return true;
    };
    uintptr_t end = block.start + block.size, before = block.start / PAGE * PAGE;
    // The bytes before the block on its own page, and those after it up to the page that faults.
    return edge(before, block.start) && edge(end, rounded_up(end ? end : 1, ALIGNMENT));
}

size_t memory_in_use() { return in_use; }
