#!/usr/bin/env bash
# Puts a CUDA 13.0 compiler, cuDNN and their libraries under a prefix, from
# Python wheels, and prints the `export` lines that a build and a run need:
#
#   eval "$(bash xtask/cuda-toolkit.sh)"
#   cargo build --release --features xtask/cuda --target-dir target/cuda
#
# `cargo xtask check-cuda` and `--device cuda` do the same by themselves.
#
# Needs: x86-64 Linux, bash, gcc + g++ + binutils, python3 with pip or venv.
# Needs no GPU, no driver and no root. Only `export` lines go to stdout.
#
# Settings (environment):
#   CUDA_PREFIX       where it goes         (default target/cuda/toolkit)
#   CUDA_COMPUTE_CAP  oldest device         (default: this machine's first GPU,
#                     else 90 = H100/H200)
#   CUDA_SLIM         1 = keep only symbol stubs of the big libraries, enough
#                     to link against, not to run (1.7 GB -> 0.2 GB; default 1
#                     where there is no driver)
#
# Candle's kernels for quantized (GGUF) and mixture-of-experts models, which
# nothing here calls, are replaced by stubs that abort: they take most of the
# compile time.
set -euo pipefail

# driver: prints the folder of the driver's library, or nothing if ld.so knows it.
# Fails if there is no driver.
driver() {
  if ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1'; then return 0; fi
  local f
  f=$(find -L /usr/local/nvidia /usr/lib/wsl /usr/lib64 -maxdepth 4 -name libcuda.so.1 -print -quit 2>/dev/null || true)
  [ -n "$f" ] && dirname "$f"
}
if driver=$(driver); then has_driver=1; else has_driver=0; fi

prefix=${CUDA_PREFIX:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/target/cuda/toolkit}
slim=${CUDA_SLIM:-$((1 - has_driver))}
cap=${CUDA_COMPUTE_CAP:-$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d . || true)}
cap=${cap:-90}

# The versions PyTorch 2.11.0 (CUDA 13.0 build) depends on, so that what links
# here also loads where that PyTorch is installed.
wheels=(
  nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88
  nvidia-cuda-cccl==13.0.85 nvidia-cuda-runtime==13.0.96
  nvidia-cuda-nvrtc==13.0.88 nvidia-cublas==13.1.0.3 nvidia-curand==10.4.0.35
  nvidia-cudnn-cu13==9.19.0.56
)

say() { printf 'cuda-toolkit: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
home=$prefix/nvidia/cu13
stamp=$prefix/.ready
want="v1 slim=$slim ${wheels[*]}"

# install TARGET: the wheels into TARGET, by pip, or by a venv's pip.
install() {
  local py=python3
  if ! python3 -m pip --version >/dev/null 2>&1; then
    python3 -m venv "$1.venv" >&2 || die "python3 has neither pip nor venv (apt-get install python3-venv)"
    py=$1.venv/bin/python
  fi
  PIP_ROOT_USER_ACTION=ignore "$py" -m pip install -q --no-deps --only-binary=:all: --no-compile \
    --no-cache-dir --no-warn-script-location --disable-pip-version-check \
    --target "$1" "${wheels[@]}" >&2
  rm -rf "$1.venv"
}

# stub OUT SONAME CODE: a shared object that carries that SONAME and defines the
# symbols named on stdin, one a line, as functions that only return CODE.
stub() {
  local s=$1.s
  { echo '.text'
    awk -v code="$3" '{ printf ".globl %s\n.type %s,@function\n%s: movl $%d,%%eax\nret\n.size %s,.-%s\n", $1, $1, $1, code, $1, $1 }'
    echo '.section .note.GNU-stack,"",@progbits'; } >"$s"
  rm -f "$1"
  gcc -shared -nostdlib -Wl,-soname,"$2" -Wl,--hash-style=gnu -o "$1" "$s"
  rm -f "$s"
}

setup() {
  local tmp=$prefix.part.$$ lib f base
  command -v gcc >/dev/null && command -v g++ >/dev/null || die 'gcc and g++ are needed'
  command -v python3 >/dev/null || die 'python3 is needed'
  [ "$(uname -sm)" = 'Linux x86_64' ] || die "x86-64 Linux only, this is $(uname -sm)"
  if [ -e "$prefix" ] && [ ! -f "$stamp" ] && [ -n "$(ls -A "$prefix")" ]; then
    die "$prefix is there and is not mine: name another CUDA_PREFIX"
  fi
  say "fetching the CUDA 13.0 wheels into $prefix (about 1.2 GB, once)"
  mkdir -p "$(dirname "$prefix")"
  trap 'rm -rf "$prefix.part.$$" "$prefix.part.$$.venv"' EXIT
  install "$tmp"
  lib=$tmp/nvidia/cu13/lib

  # cuDNN is installed next to the toolkit: link it into the toolkit's own folders.
  for f in "$tmp"/nvidia/cudnn/lib/libcudnn*.so.*; do ln -sf "../../cudnn/lib/${f##*/}" "$lib/"; done
  for f in "$tmp"/nvidia/cudnn/include/*.h; do ln -sf "../../cudnn/include/${f##*/}" "$tmp/nvidia/cu13/include/"; done

  if [ "$slim" = 1 ]; then
    # The same names and SONAMEs, no bodies: enough for the linker.
    for base in libcublas.so.13 libcublasLt.so.13 libcurand.so.10 libnvrtc.so.13 libcudnn.so.9; do
      [ -e "$lib/$base" ] || continue
      nm -D --defined-only "$lib/$base" |
        awk '$2 ~ /[TWi]/ { sub(/@.*/, "", $3); print $3 }' | sort -u >"$tmp/names"
      rm -f "$lib/$base"
      stub "$lib/$base" "$base" 1 <"$tmp/names"
    done
    rm -rf "$tmp/names" "$tmp/nvidia/cudnn/lib" "$lib"/libnvblas* "$lib"/libnvrtc-builtins* "$lib"/libnvrtc.alt* "$lib"/libnvvm.so*
    find "$lib" -xtype l -delete
  fi

  # The unversioned names that -lfoo looks for, and the lib64 that nvcc expects.
  for f in "$lib"/lib*.so.*; do
    base=${f##*/}
    ln -sf "$base" "$lib/${base%%.so.*}.so"
  done
  ln -sfn lib "$tmp/nvidia/cu13/lib64"

  # The driver's library comes with the driver, never in a wheel: a stub that
  # exports every cuXxx name in the headers and answers 34, which is
  # CUDA_ERROR_STUB_LIBRARY. It is for the linker; with lib and lib/stubs in
  # LD_LIBRARY_PATH it also lets a program start here and say it has no GPU.
  mkdir -p "$lib/stubs"
  grep -ohE '\bcu[A-Z][A-Za-z0-9_]*' "$tmp"/nvidia/cu13/include/{cuda,cudaTypedefs,cudaGL,cudaEGL}.h |
    sort -u | stub "$lib/stubs/libcuda.so" libcuda.so.1 34
  ln -sf libcuda.so "$lib/stubs/libcuda.so.1"

  # nvcc-lite is nvcc, except for candle-kernels' libmoe.a: there it compiles
  # every function of src/ffi.rs to a weak stub that aborts.
  cat >"$tmp/nvidia/cu13/bin/nvcc-lite" <<'END'
#!/usr/bin/env bash
nvcc=${BASH_SOURCE[0]%-lite} out= src= prev=
for a; do
  case $a in *.cu) src=$a ;; esac
  [ "$prev" != -o ] || out=$a
  prev=$a
done
case $src in
  src/moe/*.cu | src/mmq_gguf/*.cu | src/mmvq_gguf.cu)
    if [ "${CARGO_PKG_NAME-}" = candle-kernels ] && [ -f src/ffi.rs ] && [ -n "$out" ]; then
      { echo '#include <stdio.h>'
        echo '#include <stdlib.h>'
        grep -oE '\bfn [A-Za-z0-9_]+' src/ffi.rs | sort -u | while read -r _ f; do
          echo "__attribute__((weak)) int $f(void) { fputs(\"$f: built without the GGUF and MoE kernels\\n\", stderr); abort(); }"
        done
      } | exec gcc -x c -c -O1 -fPIC -ffunction-sections -w -o "$out" -
      exit
    fi ;;
esac
exec "$nvcc" "$@"
END
  chmod +x "$tmp/nvidia/cu13/bin/nvcc-lite"

  "$tmp/nvidia/cu13/bin/nvcc" --version >/dev/null || die 'nvcc does not run'
  echo "$want" >"$tmp/.ready"
  rm -rf "$prefix"
  mv "$tmp" "$prefix"
  trap - EXIT
  say "ready: $("$home/bin/nvcc" --version | sed -n 's/.*, release/release/p')"
}

# One at a time: two builds that start together must not fetch twice.
mkdir -p "$(dirname "$prefix")"
exec 9>"$prefix.lock"
if command -v flock >/dev/null; then flock 9; fi
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] || setup

# At run time: the libraries, and the driver's own or, without one, the stub, which lets a program start and say so.
libraries=$home/lib
[ -z "$driver" ] || libraries=$libraries:$driver
[ "$has_driver" = 1 ] || libraries=$libraries:$home/lib/stubs
q() { printf '%q' "$1"; }
cat <<END
export CUDA_HOME=$(q "$home")
export CUDA_PATH=$(q "$home")
export CUDA_COMPUTE_CAP=$(q "$cap")
export CUDAFORGE_THREADS=\${CUDAFORGE_THREADS:-$(nproc)}
export NVCC=$(q "$home/bin/nvcc-lite")
export PATH=$(q "$home/bin"):"\$PATH"
export LIBRARY_PATH=$(q "$home/lib"):$(q "$home/lib/stubs")\${LIBRARY_PATH:+:\$LIBRARY_PATH}
export LD_LIBRARY_PATH=$(q "$libraries")\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
END
