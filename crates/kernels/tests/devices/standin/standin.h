// The simulation of NVIDIA's driver, cuDNN, cuBLAS and cuRAND on the CPU; see docs/cuda.md.
#pragma once
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

// A kernel compiled for the host. `writes` names the parameters that point to memory it may write.
struct Kernel {
    const char *name;
    void (*call)(void **parameters);
    uint64_t writes;
    int parameters;
    const struct Source *source;
    long launches;
};

// A kernel source, compiled to its own shared library because sources reuse names.
struct Source {
    const char *name;
    Kernel *kernels;
    int count;
};

// Everything here runs under this lock, in the thread that calls the driver.
extern std::recursive_mutex standin_lock;

// Reports an error in the running kernel and exits.
[[noreturn]] void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

// memory.cpp
struct Block {
    uintptr_t start;
    size_t size;
};
uintptr_t new_block(size_t size);
bool free_block(uintptr_t start);
// The block that contains all of these bytes; a block of size 0 means none.
Block block_with(uintptr_t start, size_t size);
// Whether the bytes between the block's end and the page that faults are unchanged.
bool is_whole(Block block);
void watch_memory();
size_t memory_in_use();

// threads.cpp
struct Size {
    unsigned x, y, z;
};
// Runs a kernel in every order; all orders must give the same bytes.
void launch(Kernel &kernel, Size grid, Size block, void **parameters);
// Describes what is running, for messages; empty if nothing is.
std::string running();
// Names the running function while one of the libraries computes.
struct Running {
    explicit Running(const char *what);
    ~Running();
};
