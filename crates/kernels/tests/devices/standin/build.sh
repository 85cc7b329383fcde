#!/usr/bin/env bash
# Builds the stand-in for a GPU: bash build.sh OUT FOLDER... puts
# libstandin.so, a library for each source of kernels (*.cu) in the folders, and
# the list of these into OUT. What is newer than its sources stays.
#
#   LD_PRELOAD=OUT/libstandin.so PROGRAM
#
# then runs a program that was built for CUDA without a GPU. Needs g++, on
# x86-64 Linux. docs/cuda.md says what the stand-in checks.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
cxx=${CXX:-g++}
flags=(-std=c++17 -O2 -fPIC -shared -w -fvisibility=hidden -fno-strict-aliasing -ffp-contract=off)
# Traps where an index leaves an array, where a pack is not aligned; what is
# never set is filled with a pattern.
checks=(-fsanitize=bounds,alignment -fsanitize-undefined-trap-on-error -ftrivial-auto-var-init=pattern -fno-extern-tls-init)
language=(-x c++ -D__CUDA_ARCH__=800 -D__CUDACC_VER_MAJOR__=13 -I "$here/include" -include "$here/device.h")
shared=("$here"/*.h "$here"/include/*.h "$here"/build.sh)

# fresh TARGET SOURCES...: whether the target is newer than all of them.
fresh() {
  local target=$1 source
  shift
  [ -f "$target" ] || return 1
  for source; do [ "$target" -nt "$source" ] || return 1; done
}

# kernels SOURCE LIBRARY
kernels() {
  local source=$1 library=$2 unit=$2.cpp name text
  name=$(basename "$source" .cu)
  text=$("$cxx" -E -P -w -DLIST_KERNELS "${language[@]}" "$source" | tr '\n' ' ')
  {
    printf '#include "%s"\n#include "%s/registry.h"\n' "$source" "$here"
    # Shared memory whose size is given at the launch, 48 KiB at most.
    grep -oE 'extern thread_local \w+ \w+\[\]' <<<"$text" | sort -u | sed -E 's/extern (.*)\[\]/\1[12288];/' || true
    printf 'extern Source this_source;\nstatic Kernel kernels[] = {\n'
    grep -oE '__global__ +void +\w+' <<<"$text" | sed 's/.* \(.*\)/KERNEL(\1)/'
    printf '};\nSource this_source = {"%s", kernels, sizeof kernels / sizeof *kernels};\n' "$name"
    printf '__attribute__((constructor)) static void begin() { standin_register(&this_source); }\n'
  } >"$unit"
  "$cxx" "${flags[@]}" "${checks[@]}" "${language[@]}" -I "$(dirname "$source")" -o "$library.part" "$unit"
  mv "$library.part" "$library"
}

jobs=()
: >"$out/sources.part"
for folder; do
  for source in "$(cd "$folder" && pwd)"/*.cu; do
    # Candle's kernels for quantized models, which nothing here calls.
    case $source in */quantized.cu | */mm*_gguf.cu) continue ;; esac
    library=kernels-$(basename "$(dirname "$folder")")-$(basename "$source" .cu).so
    echo "$library" >>"$out/sources.part"
    fresh "$out/$library" "$source" "$(dirname "$source")"/*.cuh "${shared[@]}" && continue
    [ "${#jobs[@]}" -lt "$(nproc)" ] || { wait "${jobs[0]}"; jobs=("${jobs[@]:1}"); }
    kernels "$source" "$out/$library" &
    jobs+=($!)
  done
done
mv "$out/sources.part" "$out/sources"
fresh "$out/libstandin.so" "$here"/*.cpp "${shared[@]}" ||
  "$cxx" "${flags[@]}" -o "$out/libstandin.so" "$here"/*.cpp -ldl -lpthread
for job in ${jobs[@]+"${jobs[@]}"}; do wait "$job"; done
