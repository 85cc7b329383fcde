// The driver calls that cudarc makes. All of them are synchronous.
#include "standin.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>

namespace {
enum Result { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, NOT_FOUND = 500 };
enum Attribute { MAX_THREADS = 1, WARP_SIZE = 10, PROCESSORS = 16, MAJOR = 75, MINOR = 76, MEMORY_POOLS = 115 };
const size_t MEMORY = (size_t)8 << 30;
const unsigned MOST_THREADS = 1024;
const unsigned MOST_ROWS = 65535;
const unsigned MOST_SHARED = 48 << 10;

// Filled while the kernel libraries are loaded.
std::vector<Source *> &sources() {
    static std::vector<Source *> all;
    return all;
}

struct Module {
    const Source *source;
    std::string ptx;
};

// Whether nvcc compiled a kernel of this name; counts its parameters.
bool has_entry(const std::string &ptx, const std::string &name, int &parameters) {
    size_t at = ptx.find(".entry " + name + "(");
    if (at == std::string::npos) return false;
    size_t end = ptx.find(')', at + name.size() + 8);
    parameters = 0;
    for (size_t found = ptx.find(".param", at); found < end; found = ptx.find(".param", found + 1)) ++parameters;
    return true;
}

Kernel *kernel_of(const Source &source, const std::string &name) {
    for (int i = 0; i < source.count; ++i) {
        if (source.kernels[i].name == name) return &source.kernels[i];
    }
    return nullptr;
}

// Reports how often each kernel was launched, for `cargo xtask check-cuda`.
void report() {
    const char *path = getenv("BRAINPRIOR_STANDIN_REPORT");
    FILE *file = path ? fopen(path, "a") : nullptr;
    if (!file) return;
    for (const Source *source : sources()) {
        for (int i = 0; i < source->count; ++i) fprintf(file, "%s %s %ld\n", source->name, source->kernels[i].name, source->kernels[i].launches);
    }
    fclose(file);
}

// The kernel libraries are in a folder next to this library.
void load_kernels() {
    static bool loaded = false;
    if (loaded) return;
    loaded = true;
    Dl_info here;
    dladdr((void *)load_kernels, &here);
    std::string folder = here.dli_fname;
    folder.resize(folder.rfind('/') + 1);
    FILE *list = fopen((folder + "sources").c_str(), "r");
    if (!list) wrong("%ssources is missing; build.sh writes it", folder.c_str());
    char line[512];
    while (fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = 0;
        if (!dlopen((folder + line).c_str(), RTLD_NOW | RTLD_LOCAL)) wrong("%s", dlerror());
    }
    fclose(list);
    watch_memory();
    atexit(report);
}

std::lock_guard<std::recursive_mutex> locked() { return std::lock_guard<std::recursive_mutex>(standin_lock); }

int copy(uintptr_t to, bool to_device, uintptr_t from, bool from_device, size_t size) {
    auto lock = locked();
    if (!size) return SUCCESS;
    if ((to_device && !block_with(to, size).size) || (from_device && !block_with(from, size).size)) return INVALID_VALUE;
    memmove((void *)to, (void *)from, size);
    return SUCCESS;
}

int fill(uintptr_t to, unsigned char value, size_t count) {
    auto lock = locked();
    if (!count) return SUCCESS;
    if (!block_with(to, count).size) return INVALID_VALUE;
    memset((void *)to, value, count);
    return SUCCESS;
}

int allocate(uintptr_t *to, size_t size) {
    auto lock = locked();
    if (!size) return INVALID_VALUE;
    *to = memory_in_use() + size > MEMORY ? 0 : new_block(size);
    return *to ? SUCCESS : OUT_OF_MEMORY;
}

int release(uintptr_t start) {
    auto lock = locked();
    return free_block(start) ? SUCCESS : INVALID_VALUE;
}

char device, context, stream, event;
thread_local void *current_context = nullptr;
} // namespace

EXPORT void standin_register(Source *source) { sources().push_back(source); }

EXPORT int cuInit(unsigned) {
    auto lock = locked();
    load_kernels();
    return SUCCESS;
}
// The environment can set another version, to test older drivers.
EXPORT int cuDriverGetVersion(int *version) {
    const char *given = getenv("BRAINPRIOR_STANDIN_DRIVER");
    *version = given ? atoi(given) : 13000;
    return SUCCESS;
}
EXPORT int cuGetErrorName(int error, const char **name) {
    *name = error == INVALID_VALUE    ? "CUDA_ERROR_INVALID_VALUE"
            : error == OUT_OF_MEMORY  ? "CUDA_ERROR_OUT_OF_MEMORY"
            : error == NOT_FOUND      ? "CUDA_ERROR_NOT_FOUND"
                                      : "CUDA_ERROR_OF_THE_STANDIN";
    return SUCCESS;
}
EXPORT int cuGetErrorString(int error, const char **text) { return cuGetErrorName(error, text); }
EXPORT int cuDeviceGetCount(int *count) { return *count = 1, SUCCESS; }
EXPORT int cuDeviceGet(int *found, int ordinal) { return *found = 0, ordinal ? 101 : SUCCESS; }
EXPORT int cuDeviceGetName(char *name, int size, int) { return snprintf(name, size, "stand-in for a GPU"), SUCCESS; }
EXPORT int cuDeviceTotalMem_v2(size_t *bytes, int) { return *bytes = MEMORY, SUCCESS; }
EXPORT int cuDeviceGetAttribute(int *value, int attribute, int) {
    *value = attribute == MAX_THREADS    ? (int)MOST_THREADS
             : attribute == WARP_SIZE    ? 32
             : attribute == PROCESSORS   ? 132
             : attribute == MAJOR        ? 9
             : attribute == MEMORY_POOLS ? 1
                                         : 0;
    return SUCCESS;
}
EXPORT int cuDevicePrimaryCtxRetain(void **found, int) { return *found = &context, SUCCESS; }
EXPORT int cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
EXPORT int cuCtxGetCurrent(void **found) { return *found = current_context, SUCCESS; }
EXPORT int cuCtxSetCurrent(void *given) { return current_context = given, SUCCESS; }
EXPORT int cuCtxSynchronize() { return SUCCESS; }
EXPORT int cuStreamCreate(void **found, unsigned) { return *found = &stream, SUCCESS; }
EXPORT int cuStreamDestroy_v2(void *) { return SUCCESS; }
EXPORT int cuStreamSynchronize(void *) { return current_context ? SUCCESS : INVALID_CONTEXT; }
EXPORT int cuStreamWaitEvent(void *, void *, unsigned) { return SUCCESS; }
EXPORT int cuStreamIsCapturing(void *, int *capturing) { return *capturing = 0, SUCCESS; }
EXPORT int cuEventCreate(void **found, unsigned) { return *found = &event, SUCCESS; }
EXPORT int cuEventDestroy_v2(void *) { return SUCCESS; }
EXPORT int cuEventRecord(void *, void *) { return SUCCESS; }
EXPORT int cuEventSynchronize(void *) { return SUCCESS; }
EXPORT int cuMemGetInfo_v2(size_t *left, size_t *total) {
    auto lock = locked();
    return *left = MEMORY - memory_in_use(), *total = MEMORY, SUCCESS;
}

EXPORT int cuMemAlloc_v2(uintptr_t *to, size_t size) { return allocate(to, size); }
EXPORT int cuMemAllocAsync(uintptr_t *to, size_t size, void *) { return allocate(to, size); }
EXPORT int cuMemFree_v2(uintptr_t start) { return release(start); }
EXPORT int cuMemFreeAsync(uintptr_t start, void *) { return release(start); }
EXPORT int cuMemcpyHtoD_v2(uintptr_t to, const void *from, size_t size) { return copy(to, true, (uintptr_t)from, false, size); }
EXPORT int cuMemcpyHtoDAsync_v2(uintptr_t to, const void *from, size_t size, void *) {
    return copy(to, true, (uintptr_t)from, false, size);
}
EXPORT int cuMemcpyDtoH_v2(void *to, uintptr_t from, size_t size) { return copy((uintptr_t)to, false, from, true, size); }
EXPORT int cuMemcpyDtoHAsync_v2(void *to, uintptr_t from, size_t size, void *) {
    return copy((uintptr_t)to, false, from, true, size);
}
EXPORT int cuMemcpyDtoD_v2(uintptr_t to, uintptr_t from, size_t size) { return copy(to, true, from, true, size); }
EXPORT int cuMemcpyDtoDAsync_v2(uintptr_t to, uintptr_t from, size_t size, void *) { return copy(to, true, from, true, size); }
EXPORT int cuMemsetD8_v2(uintptr_t to, unsigned char value, size_t count) { return fill(to, value, count); }
EXPORT int cuMemsetD8Async(uintptr_t to, unsigned char value, size_t count, void *) { return fill(to, value, count); }

EXPORT int cuModuleLoadData(Module **found, const void *image) {
    auto lock = locked();
    std::string ptx = (const char *)image;
    *found = nullptr;
    for (const Source *source : sources()) {
        int parameters;
        if (source->count && has_entry(ptx, source->kernels[0].name, parameters)) *found = new Module{source, ptx};
    }
    return *found ? SUCCESS : NOT_FOUND;
}
EXPORT int cuModuleUnload(Module *module) { return delete module, SUCCESS; }
EXPORT int cuModuleGetFunction(Kernel **found, Module *module, const char *name) {
    auto lock = locked();
    int parameters;
    *found = kernel_of(*module->source, name);
    if (!*found || !has_entry(module->ptx, name, parameters)) return NOT_FOUND;
    if (parameters != (*found)->parameters) wrong("kernel %s has %d parameters in PTX and %d here", name, parameters, (*found)->parameters);
    return SUCCESS;
}
EXPORT int cuLaunchKernel(Kernel *kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                          unsigned shared, void *, void **parameters, void **) {
    auto lock = locked();
    bool fits = gx && gy && gz && bx && by && bz && gx <= INT32_MAX && gy <= MOST_ROWS && gz <= MOST_ROWS &&
                (size_t)bx * by * bz <= MOST_THREADS && bz <= 64 && shared <= MOST_SHARED;
    if (!fits) return INVALID_VALUE;
    launch(*kernel, {gx, gy, gz}, {bx, by, bz}, parameters);
    return SUCCESS;
}
