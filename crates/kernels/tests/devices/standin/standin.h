// The parts of the stand-in for NVIDIA's driver, cuDNN, cuBLAS and cuRAND, on the processor: see docs/cuda.md.
#pragma once
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

// A kernel of a source that was compiled for the host. `writes` names the parameters that are pointers to what it may write.
struct Kernel {
    const char *name;
    void (*call)(void **parameters);
    uint64_t writes;
    int parameters;
    const struct Source *source;
    long launches;
};

// A source of kernels, a shared library of its own: sources use the same names for different things.
struct Source {
    const char *name;
    Kernel *kernels;
    int count;
};

// Everything here runs under this lock, in the thread that calls the driver.
extern std::recursive_mutex standin_lock;

// Says what is wrong with what runs, and ends the process.
[[noreturn]] void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

// memory.cpp
struct Block {
    uintptr_t start;
    size_t size;
};
uintptr_t new_block(size_t size);
bool free_block(uintptr_t start);
// The block that holds all of these bytes; none has size 0.
Block block_with(uintptr_t start, size_t size);
// Nothing wrote into what lies between the block's end and the page that faults.
bool is_whole(Block block);
void watch_memory();
size_t memory_in_use();

// threads.cpp
struct Size {
    unsigned x, y, z;
};
// Runs a kernel in every order, all of which must leave the same bytes.
void launch(Kernel &kernel, Size grid, Size block, void **parameters);
// What runs, in words, for messages; empty where nothing does.
std::string running();
// Names what runs while one of the libraries computes.
struct Running {
    explicit Running(const char *what);
    ~Running();
};
