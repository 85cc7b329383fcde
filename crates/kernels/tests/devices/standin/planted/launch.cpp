// Launches one planted kernel as cudarc would, and prints the sum of what it wrote.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

extern "C" {
int cuInit(unsigned);
int cuMemAlloc_v2(uintptr_t *, size_t);
int cuMemFree_v2(uintptr_t);
int cuMemcpyHtoD_v2(uintptr_t, const void *, size_t);
int cuMemcpyDtoH_v2(void *, uintptr_t, size_t);
int cuModuleLoadData(void **, const void *);
int cuModuleGetFunction(void **, void *, const char *);
int cuLaunchKernel(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
}

static void ok(int result, const char *call) {
    if (!result) return;
    fprintf(stderr, "%s: %d\n", call, result);
    exit(1);
}

int main(int, char **arguments) {
    std::string name = arguments[1], kernel = name == "read_freed" ? "sound" : name;
    unsigned blocks = name == "race_between_blocks" ? 2 : 1;
    const unsigned count = 64;
    std::vector<float> values(count);
    for (unsigned i = 0; i < count; ++i) values[i] = i;
    uintptr_t from, to;
    ok(cuInit(0), "cuInit");
    ok(cuMemAlloc_v2(&from, count * 4), "cuMemAlloc");
    ok(cuMemAlloc_v2(&to, count * 4), "cuMemAlloc");
    ok(cuMemcpyHtoD_v2(from, values.data(), count * 4), "cuMemcpyHtoD");
    if (cuMemcpyHtoD_v2(to, values.data(), count * 4 + 1) != 1) return fprintf(stderr, "a copy beyond a block is let through\n"), 1;
    if (name == "read_freed") ok(cuMemFree_v2(from), "cuMemFree");
    std::string ptx = ".visible .entry sound(.param .u64 from, .param .u64 to) .entry " + kernel + "(.param .u64 from, .param .u64 to)";
    void *module, *function, *parameters[] = {&from, &to};
    ok(cuModuleLoadData(&module, ptx.c_str()), "cuModuleLoadData");
    ok(cuModuleGetFunction(&function, module, kernel.c_str()), "cuModuleGetFunction");
    ok(cuLaunchKernel(function, blocks, 1, 1, count, 1, 1, 0, nullptr, parameters, nullptr), "cuLaunchKernel");
    ok(cuMemcpyDtoH_v2(values.data(), to, count * 4), "cuMemcpyDtoH");
    float sum = 0;
    for (float value : values) sum += value;
    printf("sum %g\n", sum);
}
